/* What counts of an answer, and what is refused. */
#include "dns/answer.h"
#include "message.h"

static struct message m;
static struct weft_name_addrs out;

static int read_addrs(int type)
{
	/* The parser may not look behind the end: memory of the message's size. */
	uint8_t *exact = malloc(m.size + !m.size);

	CU_ASSERT_FATAL(exact != NULL);
	memcpy(exact, m.bytes, m.size);
	memset(&out, 0, sizeof(out));
	int rc = answer_addrs(exact, (int)m.size, type, &out);

	free(exact);
	CU_ASSERT(rc == 0 || (out.count == 0 && !out.canonical[0]));
	return rc;
}

static void test_addresses(void)
{
	message_begin(&m, 1, "a.example", TYPE_A);
	message_addr(&m, "A.Example", "192.0.2.1");
	message_addr(&m, "a.example", "192.0.2.2");
	CU_ASSERT(read_addrs(TYPE_A) == 0 && out.count == 2);
	CU_ASSERT_STRING_EQUAL(out.canonical, "a.example");
	CU_ASSERT(out.addrs[1].family == AF_INET && out.addrs[1].bytes[3] == 2);
	CU_ASSERT(read_addrs(TYPE_AAAA) == EAI_NODATA);
	message_begin(&m, 1, "a.example", TYPE_AAAA);
	message_addr(&m, "a.example", "2001:db8::9");
	CU_ASSERT(read_addrs(TYPE_AAAA) == 0 && out.count == 1);
	CU_ASSERT(out.addrs[0].family == AF_INET6 && out.addrs[0].bytes[15] == 9);
}

/* Records of names that nobody asked for. */
static void test_others(void)
{
	message_begin(&m, 1, "a.example", TYPE_A);
	message_addr(&m, "bank.example", "192.0.2.66");
	CU_ASSERT(read_addrs(TYPE_A) == EAI_NODATA);
	message_addr(&m, "a.example", "192.0.2.1");
	CU_ASSERT(read_addrs(TYPE_A) == 0 && out.count == 1 && out.addrs[0].bytes[3] == 1);
}

static void test_aliases(void)
{
	char from[16], to[16];

	message_begin(&m, 1, "a.example", TYPE_A);
	message_addr(&m, "c.example", "192.0.2.3");
	message_name(&m, "b.example", TYPE_CNAME, "c.example");
	message_name(&m, "a.example", TYPE_CNAME, "b.example");
	message_addr(&m, "a.example", "192.0.2.66");
	CU_ASSERT(read_addrs(TYPE_A) == 0 && out.count == 1 && out.addrs[0].bytes[3] == 3);
	CU_ASSERT_STRING_EQUAL(out.canonical, "c.example");
	/* An alias without an address behind it. */
	message_begin(&m, 1, "a.example", TYPE_A);
	message_name(&m, "a.example", TYPE_CNAME, "b.example");
	CU_ASSERT(read_addrs(TYPE_A) == EAI_NODATA);
	/* A circle. */
	message_name(&m, "b.example", TYPE_CNAME, "a.example");
	CU_ASSERT(read_addrs(TYPE_A) == EAI_FAIL);
	/* As many as may be, and one more. */
	for (int count = ANSWER_ALIASES_MAX; count <= ANSWER_ALIASES_MAX + 1; count++) {
		message_begin(&m, 1, "n0", TYPE_A);
		for (int i = 0; i < count; i++) {
			(void)snprintf(from, sizeof(from), "n%d", i);
			(void)snprintf(to, sizeof(to), "n%d", i + 1);
			message_name(&m, from, TYPE_CNAME, to);
		}
		message_addr(&m, to, "192.0.2.1");
		CU_ASSERT(read_addrs(TYPE_A) == (count > ANSWER_ALIASES_MAX ? EAI_FAIL : 0));
	}
}

static void test_malformed(void)
{
	uint8_t five[5] = {0};

	/* Cut anywhere: refused, and nothing read behind the end. */
	message_begin(&m, 1, "a.example", TYPE_A);
	message_name(&m, "a.example", TYPE_CNAME, "b.example");
	message_addr(&m, "b.example", "192.0.2.1");
	CU_ASSERT(read_addrs(TYPE_A) == 0);
	while (m.size-- > 0)
		CU_ASSERT(read_addrs(TYPE_A) == EAI_FAIL);
	m.size = 0;
	CU_ASSERT(read_addrs(TYPE_A) == EAI_FAIL);
	/* An address of five bytes, behind a good one. */
	message_begin(&m, 1, "a.example", TYPE_A);
	message_addr(&m, "a.example", "192.0.2.1");
	message_record(&m, "a.example", TYPE_A, 5);
	message_put(&m, five, sizeof(five));
	CU_ASSERT(read_addrs(TYPE_A) == EAI_FAIL);
	/* Two questions, none. */
	message_begin(&m, 1, "a.example", TYPE_A);
	m.bytes[5] = 2;
	CU_ASSERT(read_addrs(TYPE_A) == EAI_FAIL);
	m.bytes[5] = 0;
	CU_ASSERT(read_addrs(TYPE_A) == EAI_FAIL);
	/* More data than there is. */
	message_begin(&m, 1, "a.example", TYPE_A);
	message_record(&m, "a.example", TYPE_A, 65535);
	CU_ASSERT(read_addrs(TYPE_A) == EAI_FAIL);
	/* A name that points at itself. */
	message_begin(&m, 1, "a.example", TYPE_A);
	m.bytes[7] = 1;
	message_put16(&m, 0xc000 | (unsigned)m.size);
	CU_ASSERT(read_addrs(TYPE_A) == EAI_FAIL);
	/* A canonical name that is none of a host. */
	message_begin(&m, 1, "a.example", TYPE_A);
	message_name(&m, "a.example", TYPE_CNAME, "$(x).example");
	message_addr(&m, "$(x).example", "192.0.2.1");
	CU_ASSERT(read_addrs(TYPE_A) == EAI_FAIL);
}

/* Addresses at the limit and past it, and records. */
static void test_many(void)
{
	for (unsigned i = 0; i <= WEFT_NAME_ADDRS_MAX; i++) {
		if (i == 0)
			message_begin(&m, 1, "a", TYPE_A);
		message_addr(&m, "a", "192.0.2.1");
		CU_ASSERT(read_addrs(TYPE_A) == 0);
		CU_ASSERT(out.count == (i < WEFT_NAME_ADDRS_MAX ? i + 1 : WEFT_NAME_ADDRS_MAX));
	}
	for (unsigned before = ANSWER_RECORDS_MAX - 1; before <= ANSWER_RECORDS_MAX; before++) {
		message_begin(&m, 1, "a", TYPE_A);
		for (unsigned i = 0; i < before; i++)
			message_record(&m, "b", 16, 0);
		message_addr(&m, "a", "192.0.2.1");
		CU_ASSERT(read_addrs(TYPE_A) == (before < ANSWER_RECORDS_MAX ? 0 : EAI_NODATA));
	}
}

static void test_pointers(void)
{
	char name[WEFT_NAME_SIZE] = "";

	message_begin(&m, 1, "1.2.0.192.in-addr.arpa", TYPE_PTR);
	/* RFC 2317: the names of a part of a network are elsewhere. */
	message_name(&m, "1.2.0.192.in-addr.arpa", TYPE_CNAME, "1.0/25.2.0.192.in-addr.arpa");
	CU_ASSERT(answer_name(m.bytes, (int)m.size, name) == EAI_NODATA);
	message_name(&m, "1.0/25.2.0.192.in-addr.arpa", TYPE_PTR, "host.example");
	CU_ASSERT(answer_name(m.bytes, (int)m.size, name) == 0);
	CU_ASSERT_STRING_EQUAL(name, "host.example");
	message_begin(&m, 1, "1.2.0.192.in-addr.arpa", TYPE_PTR);
	message_name(&m, "1.2.0.192.in-addr.arpa", TYPE_PTR, "a;b.example");
	CU_ASSERT(answer_name(m.bytes, (int)m.size, name) == EAI_FAIL);
	CU_ASSERT(answer_name(m.bytes, 5, name) == EAI_FAIL);
}

UNIT_MAIN("answer", UNIT(addresses), UNIT(others), UNIT(aliases), UNIT(malformed), UNIT(many),
	  UNIT(pointers))
