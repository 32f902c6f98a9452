/* A broken contract ends the program with a message that names it. */
#include "net/base/check.h"

#include "unit.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct outer {
	char before;
	int member;
};

/* Runs a failing assertion in a child and returns what it wrote to stderr. */
static void test_aborts_with_message(void)
{
	char text[256] = "";
	int fds[2], status = 0;

	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	fflush(stdout);
	pid_t child = fork();

	CU_ASSERT_FATAL(child >= 0);
	if (child == 0) {
		dup2(fds[1], STDERR_FILENO);
		WEFT_ASSERT(1 + 1 == 3);
		_exit(0);
	}
	close(fds[1]);
	ssize_t len = read(fds[0], text, sizeof(text) - 1);

	close(fds[0]);
	CU_ASSERT(len > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "contract broken: 1 + 1 == 3"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "check_test.c"));
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_macros(void)
{
	struct outer o = {0, 7};
	int array[5];

	WEFT_ASSERT(o.member == 7);
	CU_ASSERT_PTR_EQUAL(CONTAINER_OF(&o.member, struct outer, member), &o);
	CU_ASSERT_EQUAL(ARRAY_SIZE(array), 5);
}

UNIT_MAIN("check", UNIT(aborts_with_message), UNIT(macros))
