/*
 * The main() of a CUnit program: one suite, tests by name, non-zero exit when anything fails.
 *
 *	UNIT_MAIN("seq", UNIT(wraps), UNIT(orders))
 *
 * runs the functions test_wraps() and test_orders().  With WEFT_FIRST_FAILURE in the environment it ends with
 * the first test that fails.
 */
#ifndef WEFT_TESTS_UNIT_H
#define WEFT_TESTS_UNIT_H

/* CUnit's assertions end in a semicolon of their own. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wextra-semi-stmt"
#endif

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define UNIT(name)                                                                                 \
	{                                                                                          \
#name, test_##name                                                                 \
	}

/* The seed of this run: WEFT_SEED or the default; printed, so that a failure can be repeated. */
static inline uint64_t unit_seed(void)
{
	const char *text = getenv("WEFT_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 1;

	printf("seed %llu\n", (unsigned long long)seed);
	return seed;
}

struct unit_test {
	const char *name;
	void (*run)(void);
};

/* Tests one by one, up to the first that fails. */
static inline unsigned unit_run_some(CU_pSuite suite, size_t count)
{
	unsigned failures = 0;

	for (size_t i = 0; i < count && failures == 0; i++) {
		CU_basic_run_test(suite, CU_get_test_at_pos(suite, (unsigned)i + 1));
		failures = CU_get_number_of_failures();
	}
	return failures;
}

static inline int unit_run(const char *suite_name, const struct unit_test *tests, size_t count)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; suite && i < count; i++)
		if (!CU_add_test(suite, tests[i].name, tests[i].run))
			suite = NULL;
	if (!suite)
		return 2;
	/* Each test's name: rule "ran" of tests/tidy/rules.py reads it. */
	CU_basic_set_mode(CU_BRM_VERBOSE);
	unsigned failures;

	if (getenv("WEFT_FIRST_FAILURE")) {
		failures = unit_run_some(suite, count);
	} else {
		CU_basic_run_tests();
		failures = CU_get_number_of_failures();
	}
	CU_cleanup_registry();
	return failures == 0 ? 0 : 1;
}

#define UNIT_MAIN(suite, ...)                                                                      \
	int main(void)                                                                             \
	{                                                                                          \
		static const struct unit_test tests[] = {__VA_ARGS__};                             \
		return unit_run(suite, tests, sizeof(tests) / sizeof(tests[0]));                   \
	}

#endif
