/*
 * The end of a program whose contract was broken: says where and aborts.  Called by WEFT_ASSERT
 * from any thread, with any locks held; therefore nothing but stdio's own lock is taken.
 */
#include "net/base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void weft_assert_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "weft: %s:%d: contract broken: %s\n", file, line, expr);
	abort();
}
