/*
 * Numbers on the command lines of test programs.  One that is none ends the program with a line on
 * stderr and exit code 2: a run that was meant to look at a million seeds must not pass having looked at
 * none.
 */
#ifndef WEFT_TESTS_ARGS_H
#define WEFT_TESTS_ARGS_H

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What stands behind 'option' (NULL: nothing does) as a number of 'min' to 'max'. */
static inline uint64_t arg_number(const char *program, const char *option, const char *text,
				  uint64_t min, uint64_t max)
{
	char *end = NULL;
	unsigned long long value = 0;

	errno = 0;
	if (text && isdigit((unsigned char)text[0]))
		value = strtoull(text, &end, 0);
	if (end && *end == '\0' && errno == 0 && value >= min && value <= max)
		return value;
	fprintf(stderr, "%s: %s needs a number of %llu to %llu\n", program, option,
		(unsigned long long)min, (unsigned long long)max);
	exit(2);
}

static inline _Noreturn void arg_unknown(const char *program, const char *text)
{
	fprintf(stderr, "%s: unknown argument '%s'\n", program, text);
	exit(2);
}

/* WEFT_SEED, or 'fallback' without it. */
static inline uint64_t arg_seed(const char *program, uint64_t fallback)
{
	const char *text = getenv("WEFT_SEED");

	return text ? arg_number(program, "WEFT_SEED", text, 0, UINT64_MAX) : fallback;
}

#endif
