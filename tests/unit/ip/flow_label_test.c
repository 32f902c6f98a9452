/* Flow labels: even, constant, hard to guess, and another one when the path is bad (RFC 6437). */
#include "net/ip/flow_label.h"

#include "net/base/check.h"
#include "unit.h"

static struct khash_key key;

static struct flow flow_of(uint16_t port)
{
	struct flow f = {.local_port = 80, .remote_port = port};

	WEFT_ASSERT(addr_parse("2001:db8::1", &f.local));
	WEFT_ASSERT(addr_parse("2001:db8::2", &f.remote));
	return f;
}

static void test_labels(void)
{
	struct flow f = flow_of(1000);
	struct khash_key other;

	khash_key_init(&key, 1, "test");
	khash_key_init(&other, 2, "test");
	uint32_t label = flow_label(&key, &f, 0);

	CU_ASSERT_EQUAL(flow_label(&key, &f, 0), label);
	CU_ASSERT_NOT_EQUAL(flow_label(&other, &f, 0), label);
	CU_ASSERT_NOT_EQUAL(flow_label(&key, &f, 1), label);
	f.remote_port++;
	CU_ASSERT_NOT_EQUAL(flow_label(&key, &f, 0), label);
}

/* 64 thousand flows over sixteen paths: each path gets its share. */
static void test_even(void)
{
	unsigned path[16] = {0};
	unsigned bad = 0;

	khash_key_init(&key, 1, "test");
	for (unsigned port = 0; port < 65536; port++) {
		struct flow f = flow_of((uint16_t)port);
		uint32_t label = flow_label(&key, &f, 0);

		bad += label == 0 || label > FLOW_LABEL_MASK;
		path[label % 16]++;
	}
	CU_ASSERT_EQUAL(bad, 0);
	for (unsigned i = 0; i < 16; i++)
		CU_ASSERT_TRUE(path[i] > 3800 && path[i] < 4400);
}

UNIT_MAIN("ip_flow_label", UNIT(labels), UNIT(even))
