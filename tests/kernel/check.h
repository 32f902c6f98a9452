/*
 * check.h - what the programs share that have both weft's sockets and the kernel's: calls that must not
 * fail, numbers that must be equal, and weft's counters.
 */
#ifndef TESTS_KERNEL_CHECK_H
#define TESTS_KERNEL_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/weft.h>

static struct weft_stack *stack;
static unsigned failures;

static void must(long long rc, const char *what)
{
	if (rc >= 0)
		return;
	perror(what);
	exit(1);
}

static void equal(const char *what, unsigned long long got, unsigned long long want)
{
	if (got == want)
		return;
	printf("%s is %llu and not %llu\n", what, got, want);
	failures++;
}

static unsigned long long weft_count(const char *name)
{
	struct weft_stats stats;

	weft_stack_stats(stack, &stats);
	for (unsigned i = 0; weft_counter_name(i); i++)
		if (strcmp(weft_counter_name(i), name) == 0)
			return stats.counters[i];
	return ~0ull;
}

#endif
