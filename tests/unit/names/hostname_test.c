/* Names: their form, and the special ones. */
#include "api/names/hostname.h"
#include "unit.h"
#include <string.h>

/* A name of 'length' bytes in labels of 'label' bytes. */
static char *long_name(char *text, size_t length, size_t label)
{
	for (size_t i = 0; i < length; i++)
		text[i] = i % (label + 1) == label ? '.' : 'a';
	text[length] = '\0';
	return text;
}

static void test_form(void)
{
	char text[300];

	CU_ASSERT(hostname_is_askable("example.com"));
	CU_ASSERT(hostname_is_askable("example.com."));
	CU_ASSERT(hostname_is_askable("_dmarc.x-1"));
	CU_ASSERT(!hostname_is_askable(""));
	CU_ASSERT(!hostname_is_askable("."));
	CU_ASSERT(!hostname_is_askable("a..b"));
	CU_ASSERT(!hostname_is_askable(".a"));
	CU_ASSERT(!hostname_is_askable("a b"));
	CU_ASSERT(!hostname_is_askable("a\\.b"));
	CU_ASSERT(!hostname_is_askable("b\xc3\xbc"));
	CU_ASSERT(!hostname_is_askable("a\x7f"));
	/* Labels of 63 bytes, names of 253, and one more. */
	CU_ASSERT(hostname_is_askable(long_name(text, HOSTNAME_LABEL_MAX, 99)));
	CU_ASSERT(!hostname_is_askable(long_name(text, HOSTNAME_LABEL_MAX + 1, 99)));
	CU_ASSERT(hostname_is_askable(long_name(text, HOSTNAME_MAX, 62)));
	memcpy(text + HOSTNAME_MAX, ".", 2);
	CU_ASSERT(hostname_is_askable(text));
	CU_ASSERT(!hostname_is_askable(long_name(text, HOSTNAME_MAX + 1, 62)));
}

static void test_equal(void)
{
	CU_ASSERT(hostname_equal("Example.COM", "eXAMPLE.com."));
	CU_ASSERT(!hostname_equal("example.com", "example.co"));
	CU_ASSERT(!hostname_equal("example.com", "examplf.com"));
	CU_ASSERT(hostname_compare("a", "B") < 0);
	CU_ASSERT(hostname_compare("B", "a") > 0);
	CU_ASSERT(hostname_compare("ab", "a") > 0);
	CU_ASSERT(hostname_compare("A", "a") == 0);
}

static void test_special(void)
{
	CU_ASSERT(hostname_is_localhost("localhost"));
	CU_ASSERT(hostname_is_localhost("LocalHost."));
	CU_ASSERT(hostname_is_localhost("a.localhost"));
	CU_ASSERT(!hostname_is_localhost("notlocalhost"));
	CU_ASSERT(!hostname_is_localhost("localhost.example"));
	CU_ASSERT(!hostname_is_localhost("host"));
	CU_ASSERT(hostname_is_nobodys("x.invalid"));
	CU_ASSERT(hostname_is_nobodys("abc.ONION."));
	CU_ASSERT(!hostname_is_nobodys("onion.example"));
}

UNIT_MAIN("hostname", UNIT(form), UNIT(equal), UNIT(special))
