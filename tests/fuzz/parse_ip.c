/*
 * Fuzzes ip_parse with raw packets, as they are and with the IPv4 header checksum put right.
 * Invariants: lengths stay inside the packet; what was parsed can be written and parsed again.
 */
#include "net/base/bytes.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include "tests/fuzz/fuzz.h"

static void check_rewritten(const struct ip_hdr *hdr)
{
	uint8_t *pkt = calloc(1, IP_HDR_MAX + (size_t)UINT16_MAX);
	struct ip_hdr again;

	FUZZ_CHECK(pkt);
	size_t size = ip_emit(pkt, hdr);

	FUZZ_CHECK(ip_parse(pkt, size + hdr->payload_len, &again) == DROP_NONE);
	FUZZ_CHECK(addr_equal(&hdr->src, &again.src) && addr_equal(&hdr->dst, &again.dst));
	FUZZ_CHECK(hdr->version == again.version && hdr->proto == again.proto);
	FUZZ_CHECK(hdr->ttl == again.ttl && hdr->tos == again.tos);
	FUZZ_CHECK(hdr->payload_len == again.payload_len && again.hdr_len == size);
	free(pkt);
}

static void check_packet(const uint8_t *pkt, size_t size)
{
	struct ip_hdr hdr;

	if (ip_parse(pkt, size, &hdr) != DROP_NONE)
		return;
	FUZZ_CHECK((size_t)hdr.hdr_len + hdr.payload_len <= size);
	FUZZ_CHECK(hdr.version == 4 || hdr.version == 6);
	check_rewritten(&hdr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t hdr_len = size > 0 ? (data[0] & 0x0fu) * 4 : 0;

	check_packet(data, size);
	if (size < IP4_HDR_SIZE || hdr_len < IP4_HDR_SIZE || hdr_len > size)
		return 0;
	uint8_t *copy = malloc(size);

	FUZZ_CHECK(copy);
	memcpy(copy, data, size);
	put_be16(copy + 10, 0);
	put_be16(copy + 10, csum_finish(csum_add(0, copy, hdr_len)));
	check_packet(copy, size);
	free(copy);
	return 0;
}
