/* Big-endian access at every alignment. */
#include "net/base/bytes.h"

#include "unit.h"

static void test_round_trips(void)
{
	uint8_t raw[16] = {0};

	for (size_t at = 0; at < 8; at++) {
		put_be32(raw + at, 0x81828384u);
		CU_ASSERT_EQUAL(raw[at], 0x81);
		CU_ASSERT_EQUAL(raw[at + 3], 0x84);
		CU_ASSERT_EQUAL(get_be32(raw + at), 0x81828384u);
		CU_ASSERT_EQUAL(get_be16(raw + at), 0x8182);
		put_be16(raw + at, 0xfffe);
		CU_ASSERT_EQUAL(get_be16(raw + at), 0xfffe);
		CU_ASSERT_EQUAL(get_be32(raw + at), 0xfffe8384u);
	}
}

UNIT_MAIN("bytes", UNIT(round_trips))
