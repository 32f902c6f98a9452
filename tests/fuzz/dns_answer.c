/*
 * Fuzzes the reading of DNS answers.  Input: a message, for all three questions.  Invariants: what is found is
 * within its bounds and a host's name; of a message that is refused nothing is kept.
 */
#include "dns/answer.h"
#include "tests/fuzz/fuzz.h"
#include <stdbool.h>
#include <string.h>

static bool is_host(const char *name)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	return name[0] && strlen(name) < WEFT_NAME_SIZE && strspn(name, good) == strlen(name);
}

static void check_addrs(const uint8_t *msg, int size, int type)
{
	struct weft_name_addrs out = {.count = 0};
	int rc = answer_addrs(msg, size, type, &out);

	FUZZ_CHECK(rc == 0 || rc == EAI_FAIL || rc == EAI_NODATA);
	FUZZ_CHECK((rc == 0) == (out.count > 0));
	FUZZ_CHECK(out.count <= WEFT_NAME_ADDRS_MAX);
	FUZZ_CHECK(rc == 0 ? is_host(out.canonical) : !out.canonical[0]);
	for (unsigned i = 0; i < out.count; i++)
		FUZZ_CHECK(out.addrs[i].family == (type == ANSWER_TYPE_A ? AF_INET : AF_INET6));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[WEFT_NAME_SIZE] = "";

	if (size > UINT16_MAX)
		return 0;
	check_addrs(data, (int)size, ANSWER_TYPE_A);
	check_addrs(data, (int)size, ANSWER_TYPE_AAAA);
	if (answer_name(data, (int)size, name) == 0)
		FUZZ_CHECK(is_host(name));
	return 0;
}
