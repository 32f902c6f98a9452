/* Names of hosts; see hostname.h.  Does not look at the locale.  Any thread. */
#include "api/names/hostname.h"

#include <string.h>

static int fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

/* Without a final dot. */
static size_t bare_length(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && name[length - 1] == '.' ? length - 1 : length;
}

bool hostname_is_askable(const char *name)
{
	size_t length = bare_length(name);
	size_t label = 0;

	if (length == 0 || length > HOSTNAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (name[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == '\\')
			return false;
		if (++label > HOSTNAME_LABEL_MAX)
			return false;
	}
	return label > 0;
}

static bool equal_bytes(const char *a, const char *b, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (fold(a[i]) != fold(b[i]))
			return false;
	return true;
}

bool hostname_equal(const char *a, const char *b)
{
	size_t length = bare_length(a);

	return bare_length(b) == length && equal_bytes(a, b, length);
}

int hostname_compare(const char *a, const char *b)
{
	while (*a && fold(*a) == fold(*b)) {
		a++;
		b++;
	}
	return fold(*a) - fold(*b);
}

/* 'name' is 'domain' or ends in it behind a dot. */
static bool is_below(const char *name, const char *domain)
{
	size_t length = bare_length(name);
	size_t tail = strlen(domain);

	if (length < tail || !equal_bytes(name + length - tail, domain, tail))
		return false;
	return length == tail || name[length - tail - 1] == '.';
}

bool hostname_is_localhost(const char *name)
{
	return is_below(name, "localhost");
}

bool hostname_is_nobodys(const char *name)
{
	return is_below(name, "invalid") || is_below(name, "onion");
}
