/*
 * Fuzzes udp_hdr_parse.  Input: one byte for the family (odd: IPv6), then the datagram, tried as it
 * is and with length and checksum put right.  Invariants: the length lies inside; a header written
 * by udp_hdr_emit parses.
 */
#include "net/wire/ip.h"
#include "net/wire/udp_hdr.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addr src = {{0x20, 1}}, dst = {{0x20, 2}};
	struct udp_hdr hdr = {0}, again;

	if (size < 1)
		return 0;
	if (data[0] % 2 == 0) {
		src = addr_from_v4((const uint8_t *)"\x0a\0\0\1");
		dst = addr_from_v4((const uint8_t *)"\x0a\0\0\2");
	}
	if (udp_hdr_parse(data + 1, size - 1, &src, &dst, &hdr) == DROP_NONE) {
		FUZZ_CHECK(hdr.len >= UDP_HDR_SIZE && hdr.len <= size - 1);
		FUZZ_CHECK(hdr.csum != 0 || addr_is_v4(&dst));
	}
	size--;
	if (size < UDP_HDR_SIZE || size > UINT16_MAX)
		return 0;
	uint8_t *copy = malloc(size);

	FUZZ_CHECK(copy);
	memcpy(copy, data + 1, size);
	FUZZ_CHECK(udp_hdr_emit(copy, &hdr, size - UDP_HDR_SIZE, &src, &dst) == UDP_HDR_SIZE);
	FUZZ_CHECK(udp_hdr_parse(copy, size, &src, &dst, &again) == DROP_NONE);
	FUZZ_CHECK(again.src_port == hdr.src_port && again.dst_port == hdr.dst_port);
	FUZZ_CHECK(again.len == size && again.csum != 0);
	free(copy);
	return 0;
}
