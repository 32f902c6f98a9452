/*
 * Fuzzes icmp_parse and icmp_quote_parse.  Input: one byte for the family (odd: IPv6), then the
 * message, tried as it is, with its checksum put right, and as a quoted packet.  Invariants: the
 * body lies inside the message; a known kind can be written and parsed again.
 */
#include "net/base/bytes.h"
#include "net/wire/csum.h"
#include "net/wire/icmp.h"
#include "tests/fuzz/fuzz.h"

static void check_rewritten(const struct icmp_msg *msg, const struct ip_hdr *ip)
{
	uint8_t *p = malloc(ICMP_HDR_SIZE + msg->body_len);
	struct icmp_msg again;

	FUZZ_CHECK(p);
	size_t size = icmp_emit(p, msg, &ip->src, &ip->dst);

	FUZZ_CHECK(size == ICMP_HDR_SIZE + msg->body_len);
	FUZZ_CHECK(icmp_parse(p, size, ip, &again) == DROP_NONE);
	FUZZ_CHECK(msg->kind == again.kind && msg->id == again.id && msg->seq == again.seq);
	FUZZ_CHECK(msg->mtu == again.mtu && msg->pointer == again.pointer);
	FUZZ_CHECK(msg->kind == ICMP_TOO_BIG || msg->code == again.code);
	FUZZ_CHECK(msg->body_len == again.body_len);
	FUZZ_CHECK(memcmp(msg->body, again.body, msg->body_len) == 0);
	free(p);
}

static void check_message(const uint8_t *p, size_t size, const struct ip_hdr *ip)
{
	struct icmp_quote quote;
	struct icmp_msg msg;

	if (icmp_parse(p, size, ip, &msg) != DROP_NONE)
		return;
	FUZZ_CHECK(msg.body == p + ICMP_HDR_SIZE && msg.body_len == size - ICMP_HDR_SIZE);
	(void)icmp_quote_parse(msg.body, msg.body_len, &quote);
	if (msg.kind < ICMP_OTHER)
		check_rewritten(&msg, ip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip_hdr ip = {.version = 6, .src = {{0x20, 1}}, .dst = {{0x20, 2}}};
	struct icmp_quote quote;
	uint64_t sum = 0;

	if (size < 1 + ICMP_HDR_SIZE)
		return 0;
	if (data[0] % 2 == 0) {
		ip.version = 4;
		ip.src = addr_from_v4((const uint8_t *)"\x0a\0\0\1");
		ip.dst = addr_from_v4((const uint8_t *)"\x0a\0\0\2");
	}
	size--;
	uint8_t *copy = malloc(size);

	FUZZ_CHECK(copy);
	memcpy(copy, data + 1, size);
	(void)icmp_quote_parse(copy, size, &quote);
	check_message(copy, size, &ip);
	put_be16(copy + 2, 0);
	if (ip.version == 6)
		sum = csum_pseudo(&ip.src, &ip.dst, IP_PROTO_ICMP6, (uint32_t)size);
	put_be16(copy + 2, csum_finish(csum_add(sum, copy, size)));
	check_message(copy, size, &ip);
	free(copy);
	return 0;
}
