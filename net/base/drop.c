/*
 * Names and texts of the drop reasons, made from the list in drop.h.  Called by statistics, traces
 * and tests on any thread; constant data only.
 */
#include "net/base/drop.h"

#include <stddef.h>

const char *drop_name(enum drop drop)
{
	static const char *const names[DROP_COUNT] = {
#define X(name, text) #name,
		WEFT_DROPS(X)
#undef X
	};

	return drop < DROP_COUNT ? names[drop] : NULL;
}

const char *drop_text(enum drop drop)
{
	static const char *const texts[DROP_COUNT] = {
#define X(name, text) text,
		WEFT_DROPS(X)
#undef X
	};

	return drop < DROP_COUNT ? texts[drop] : NULL;
}
