/* What sched_atomic.h calls; in a file that does not include it. */
#include "sched.h"

void sched_atomic(const volatile void *object);

void sched_atomic(const volatile void *object)
{
	sched_point(OP_ATOMIC, (const void *)(uintptr_t)object);
}
