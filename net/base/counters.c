/*
 * Names and texts of the counters, made from the list in counters.h.  Called by statistics and
 * tests on any thread; constant data only.
 */
#include "net/base/counters.h"

#include <stddef.h>

const char *counter_name(enum counter which)
{
	static const char *const names[C_COUNT] = {
#define X(name, text) #name,
		WEFT_COUNTERS(X)
#undef X
	};

	return which < C_COUNT ? names[which] : NULL;
}

const char *counter_text(enum counter which)
{
	static const char *const texts[C_COUNT] = {
#define X(name, text) text,
		WEFT_COUNTERS(X)
#undef X
	};

	return which < C_COUNT ? texts[which] : NULL;
}
