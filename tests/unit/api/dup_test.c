/* dup and its relatives, fcntl, sendfile, and what the child of a fork may do. */
#include "kit.h"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool stays_open(int fd)
{
	char byte;

	return weft_recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

static void test_closes_with_the_last_handle(void)
{
	struct kit kit;
	int fds[2], more[3];
	char byte;

	kit_open(&kit);
	kit_join(&kit, fds);
	for (int i = 0; i < 3; i++) {
		more[i] = weft_dup(i == 0 ? fds[0] : more[i - 1]);
		CU_ASSERT(more[i] >= 0);
	}
	GIVES(weft_close(more[1]), 0);
	FAILS(weft_close(more[1]), EBADF);
	GIVES(weft_close(fds[0]), 0);
	FAILS(weft_send(fds[0], "x", 1, 0), EBADF);
	CU_ASSERT(stays_open(fds[1]));
	GIVES(weft_send(more[2], "x", 1, 0), 1);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 1);
	/* O_NONBLOCK is the socket's. */
	GIVES(weft_fcntl(more[0], F_SETFL, O_NONBLOCK), 0);
	GIVES(weft_fcntl(more[2], F_GETFL), O_RDWR | O_NONBLOCK);
	GIVES(weft_close(more[2]), 0);
	CU_ASSERT(stays_open(fds[1]));
	GIVES(weft_close(more[0]), 0);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

static void test_blocked_calls_outlive_one_handle(void)
{
	struct kit_call call;
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	int more = weft_dup(fds[0]);

	kit_call_start(&call, fds[0], kit_run_recv);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_send(fds[1], "x", 1, 0), 1);
	kit_call_join(&call);
	CU_ASSERT(call.rc == 1);
	kit_call_start(&call, more, kit_run_recv);
	GIVES(weft_close(more), 0);
	kit_call_join(&call);
	CU_ASSERT(call.rc == -1 && call.error == EBADF);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

static void test_dup2_takes_over_a_handle(void)
{
	struct kit kit;
	int fds[2], other[2];
	char byte;

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_join(&kit, other);
	GIVES(weft_dup2(fds[0], other[0]), other[0]);
	GIVES(weft_recv(other[1], &byte, 1, 0), 0); /* its socket is closed */
	GIVES(weft_send(other[0], "x", 1, 0), 1);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 1);
	GIVES(weft_dup2(fds[0], other[0]), other[0]); /* again: nothing changes */
	GIVES(weft_dup2(fds[0], fds[0]), fds[0]);
	GIVES(weft_close(fds[0]), 0);
	CU_ASSERT(stays_open(fds[1]));
	FAILS(weft_dup2(fds[0], other[0]), EBADF);
	FAILS(weft_dup2(other[0], fds[0]), EBADF);
	FAILS(weft_dup2(other[0], other[1]), EINVAL); /* of two stacks */
	FAILS(weft_dup3(other[0], other[0], 0), EINVAL);
	FAILS(weft_dup3(other[0], fds[0], 1), EINVAL);
	FAILS(weft_dup(-1), EBADF);
	GIVES(weft_close(other[0]), 0);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 0);
	GIVES(weft_close(fds[1]), 0);
	GIVES(weft_close(other[1]), 0);
	kit_close(&kit);
}

static void test_fcntl_of_handles(void)
{
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	int copy = weft_fcntl(fd, F_DUPFD, 0), other = weft_fcntl(fd, F_DUPFD_CLOEXEC, 3);

	CU_ASSERT(copy >= 0 && other >= 0 && copy != other);
	FAILS(weft_fcntl(fd, F_DUPFD, -1), EINVAL);
	FAILS(weft_fcntl(-1, F_DUPFD, 0), EBADF);
	GIVES(weft_fcntl(fd, F_SETFD, 0), 0);
	GIVES(weft_fcntl(fd, F_GETFD), FD_CLOEXEC);
	FAILS(weft_fcntl(-1, F_GETFD), EBADF);
	FAILS(weft_fcntl(fd, 9999), EINVAL);
	FAILS(weft_fcntl(-1, 9999), EBADF);
	GIVES(weft_close(fd), 0);
	GIVES(weft_close(copy), 0);
	GIVES(weft_close(other), 0);
	kit_close(&kit);
}

/* A handle that stays valid while it is given one socket after the other. */
struct swap {
	int fd, with[2];
};

static void *look(void *arg)
{
	struct swap *swap = arg;
	unsigned bad = 0;

	for (int i = 0; i < 20000; i++)
		bad += weft_fcntl(swap->fd, F_GETFL) < 0;
	return (void *)(uintptr_t)bad;
}

static void test_nobody_sees_a_gap(void)
{
	struct swap swap;
	pthread_t thread;
	struct kit kit;
	void *bad;

	kit_open(&kit);
	swap.fd = kit_socket(kit.a, AF_INET);
	swap.with[0] = kit_socket(kit.a, AF_INET);
	swap.with[1] = kit_socket(kit.a, AF_INET);
	CU_ASSERT_FATAL(pthread_create(&thread, NULL, look, &swap) == 0);
	for (int i = 0; i < 2000; i++)
		GIVES(weft_dup2(swap.with[i % 2], swap.fd), swap.fd);
	CU_ASSERT(pthread_join(thread, &bad) == 0 && !bad);
	GIVES(weft_close(swap.fd), 0);
	GIVES(weft_close(swap.with[0]), 0);
	GIVES(weft_close(swap.with[1]), 0);
	kit_close(&kit);
}

enum { FILE_SIZE = 600000 };

static int make_file(void)
{
	char name[] = "/tmp/weft-sendfile-XXXXXX";
	int file = mkstemp(name);

	CU_ASSERT_FATAL(file >= 0 && unlink(name) == 0);
	for (int i = 0; i < FILE_SIZE; i += 4)
		CU_ASSERT_FATAL(write(file, &i, sizeof(i)) == sizeof(i));
	CU_ASSERT(lseek(file, 0, SEEK_SET) == 0);
	return file;
}

static void expect_numbers(int fd, int first, int size)
{
	static char bytes[FILE_SIZE];
	unsigned wrong = 0;
	int number;

	GIVES(weft_recv(fd, bytes, (size_t)size, MSG_WAITALL), size);
	for (int i = 0; i < size; i += 4) {
		memcpy(&number, bytes + i, sizeof(number));
		wrong += number != first + i;
	}
	CU_ASSERT(wrong == 0);
}

static void test_sendfile(void)
{
	off_t offset = 4000;
	struct kit kit;
	int fds[2], ends[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	int file = make_file();

	GIVES(weft_sendfile(fds[0], file, &offset, 400000), 400000);
	CU_ASSERT(offset == 404000 && lseek(file, 0, SEEK_CUR) == 0);
	expect_numbers(fds[1], 4000, 400000);
	GIVES(weft_sendfile(fds[0], file, NULL, 8), 8);
	CU_ASSERT(lseek(file, 0, SEEK_CUR) == 8);
	expect_numbers(fds[1], 0, 8);
	GIVES(weft_sendfile(fds[0], file, NULL, SIZE_MAX), FILE_SIZE - 8);
	expect_numbers(fds[1], 8, FILE_SIZE - 8);
	GIVES(weft_sendfile(fds[0], file, NULL, 1), 0);
	GIVES(weft_sendfile(fds[0], file, NULL, 0), 0);
	offset = -1;
	FAILS(weft_sendfile(fds[0], file, &offset, 1), EINVAL);
	FAILS(weft_sendfile(-1, file, NULL, 1), EBADF);
	FAILS(weft_sendfile(fds[0], -1, NULL, 1), EBADF);
	CU_ASSERT_FATAL(pipe(ends) == 0);
	FAILS(weft_sendfile(fds[0], ends[0], NULL, 1), EINVAL);
	offset = 0;
	FAILS(weft_sendfile(fds[0], ends[0], &offset, 1), EINVAL);
	GIVES(weft_shutdown(fds[0], SHUT_WR), 0);
	FAILS(weft_sendfile(fds[0], file, &offset, 1), EPIPE);
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)close(file);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

/* In the child: what it may do, and that the rest fails and does not wait. */
static int in_child(struct kit *kit, const int fds[2])
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char byte;

	if (weft_recv(fds[0], &byte, 1, 0) != -1 || errno != EBADF)
		return 1;
	if (weft_socket(kit->a, AF_INET, SOCK_STREAM, 0) != -1 || errno != ENETDOWN)
		return 2;
	if (weft_dup2(fds[0], fds[1]) != -1 || errno != EBADF)
		return 3;
	if (weft_close(fds[0]) != 0 || weft_close(fds[0]) != -1 || errno != EBADF)
		return 4;
	if (weft_stack_open(&config, NULL, 0) || errno != EPERM)
		return 5;
	weft_stack_close(kit->a);
	return 0;
}

static void test_fork_leaves_the_parent_alone(void)
{
	struct kit kit;
	int fds[2], status = -1;
	char byte;

	kit_open(&kit);
	kit_join(&kit, fds);
	for (int i = 0; i < 10; i++) {
		GIVES(weft_send(fds[0], "x", 1, 0), 1);
		pid_t pid = fork();

		if (pid == 0) {
			(void)alarm(20); /* one that waits for ever is a failure */
			_exit(in_child(&kit, fds));
		}
		GIVES(weft_recv(fds[1], &byte, 1, 0), 1);
		CU_ASSERT(pid > 0 && waitpid(pid, &status, 0) == pid);
		CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		CU_ASSERT(stays_open(fds[1]) && stays_open(fds[0]));
	}
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

UNIT_MAIN("dup", UNIT(closes_with_the_last_handle), UNIT(blocked_calls_outlive_one_handle),
	  UNIT(dup2_takes_over_a_handle), UNIT(fcntl_of_handles), UNIT(nobody_sees_a_gap),
	  UNIT(sendfile), UNIT(fork_leaves_the_parent_alone))
