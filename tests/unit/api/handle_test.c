/*
 * The handle table: generations, reuse, limits, and the life of handles through the public API.
 */
#include "api/src/handle.h"
#include "kit.h"

/* Other tests and the stacks hold none: what is taken here is all there is. */
static void test_stale_handle_is_ebadf(void)
{
	struct kit kit;
	char byte;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	GIVES(weft_close(fd), 0);
	FAILS(weft_close(fd), EBADF);
	FAILS(weft_recv(fd, &byte, 1, 0), EBADF);
	FAILS(weft_close(-1), EBADF);
	FAILS(weft_close(0), EBADF);
	FAILS(weft_close(INT32_MAX), EBADF);
	kit_close(&kit);
}

/* 100,000 cycles: no handle comes twice, stale ones stay EBADF, memory stays bounded. */
static void test_many_cycles(void)
{
	struct kit kit;
	int first = -1;
	int last = -1;

	kit_open(&kit);
	for (int i = 0; i < 100000; i++) {
		int fd = weft_socket(kit.a, AF_INET, SOCK_STREAM, 0);
		CU_ASSERT_FATAL(fd > 0);
		CU_ASSERT_FATAL(fd != first && fd != last);
		if (i == 0)
			first = fd;
		last = fd;
		CU_ASSERT_FATAL(weft_close(fd) == 0);
		if (i % 1000 == 0) {
			FAILS(weft_listen(first, 1), EBADF);
			FAILS(weft_listen(last, 1), EBADF);
		}
	}
	/* Slots were used again, not added. */
	CU_ASSERT((last & (HANDLE_SLOTS_MAX - 1)) <= 2 * HANDLE_FREE_MIN);
	CU_ASSERT(handle_in_use() == 0);
	kit_close(&kit);
}

/* A slot's generations run through all values but 0 and come round after about a million closes. */
static void test_generation_wraps(void)
{
	struct handle_owner owner = {.closed = false};
	struct kit kit;
	long cycles = 0;
	bool is_last;

	kit_open(&kit);
	int first = kit_socket(kit.a, AF_INET);
	GIVES(weft_close(first), 0);
	/* The table alone: reserve and install need a socket, one is enough. */
	int holder = kit_socket(kit.a, AF_INET);
	struct conn *conn = handle_get(holder, NULL);
	CU_ASSERT_FATAL(conn != NULL);
	for (int fd = -1; fd != first; cycles++) {
		fd = handle_reserve(&owner);
		CU_ASSERT_FATAL(fd > 0 && fd >> HANDLE_INDEX_BITS != 0);
		CU_ASSERT_FATAL(handle_install(fd, &conn) == 0);
		conn = handle_take(fd, &is_last);
		CU_ASSERT_FATAL(conn != NULL);
		CU_ASSERT_FATAL(cycles < 4000000);
	}
	CU_ASSERT(cycles > 900000);
	proto_put(&conn);
	GIVES(weft_close(holder), 0);
	kit_close(&kit);
}

static void test_limit_is_emfile(void)
{
	struct kit kit;
	int fds[8];

	kit_open(&kit);
	uint32_t old = handle_set_limit(handle_in_use() + 8);
	for (int i = 0; i < 8; i++)
		fds[i] = kit_socket(kit.a, AF_INET);
	FAILS(weft_socket(kit.a, AF_INET, SOCK_STREAM, 0), EMFILE);
	GIVES(weft_close(fds[3]), 0);
	int fd = kit_socket(kit.a, AF_INET);
	CU_ASSERT(fd != fds[3]);
	FAILS(weft_socket(kit.a, AF_INET, SOCK_STREAM, 0), EMFILE);
	FAILS(weft_listen(fds[3], 1), EBADF);
	fds[3] = fd;
	for (int i = 0; i < 8; i++)
		GIVES(weft_close(fds[i]), 0);
	(void)handle_set_limit(old);
	kit_close(&kit);
}

/* Without a handle free the connection stays in the queue. */
static void test_accept_emfile_keeps_connection(void)
{
	struct kit kit;

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	int client = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(client, KIT_B4, 80), 0);
	uint32_t old = handle_set_limit(handle_in_use());
	FAILS(weft_accept(listener, NULL, NULL), EMFILE);
	FAILS(weft_accept(listener, NULL, NULL), EMFILE);
	(void)handle_set_limit(old);
	int server = weft_accept(listener, NULL, NULL);
	CU_ASSERT(server > 0);
	GIVES(weft_send(client, "x", 1, 0), 1);
	char byte;
	GIVES(weft_recv(server, &byte, 1, 0), 1);
	GIVES(weft_close(server), 0);
	GIVES(weft_close(client), 0);
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
}

static void test_closed_owner_refuses(void)
{
	struct handle_owner owner = {.closed = false};
	struct kit kit;
	uint32_t index = 0;
	bool is_last;

	kit_open(&kit);
	int holder = kit_socket(kit.a, AF_INET);
	struct conn *conn = handle_get(holder, NULL);
	int reserved = handle_reserve(&owner);
	int canceled = handle_reserve(&owner);
	CU_ASSERT_FATAL(conn && reserved > 0 && canceled > 0);
	CU_ASSERT(handle_get(reserved, NULL) == NULL);
	CU_ASSERT(handle_take(reserved, &is_last) == NULL);
	handle_cancel(canceled);
	handle_owner_close(&owner);
	CU_ASSERT(handle_reserve(&owner) == -ESHUTDOWN);
	CU_ASSERT(handle_install(reserved, &conn) == -ESHUTDOWN);
	CU_ASSERT(conn != NULL);
	handle_cancel(reserved);
	CU_ASSERT(handle_take_next(&owner, &index) == NULL);
	proto_put(&conn);
	GIVES(weft_close(holder), 0);
	kit_close(&kit);
}

enum { RACE_ROUNDS = 300, RACE_THREADS = 3 };

struct race {
	atomic_int fd;
	atomic_bool stop;
	atomic_int closed;
};

static void *race_close(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		int fd = atomic_load(&race->fd);
		if (weft_fcntl(fd, F_GETFL) < 0)
			CU_ASSERT(errno == EBADF);
		if (weft_close(fd) == 0)
			atomic_fetch_add(&race->closed, 1);
	}
	return NULL;
}

/* Of many closes of one handle exactly one succeeds. */
static void test_close_once(void)
{
	struct race race = {.fd = -1};
	pthread_t threads[RACE_THREADS];
	struct kit kit;

	kit_open(&kit);
	for (int i = 0; i < RACE_THREADS; i++)
		CU_ASSERT_FATAL(thread_start(&threads[i], "race", race_close, &race) == 0);
	for (int i = 0; i < RACE_ROUNDS; i++) {
		atomic_store(&race.fd, kit_socket(kit.a, AF_INET));
		weft_time_us deadline = clock_monotonic_us() + 10 * US_PER_S;
		while (atomic_load(&race.closed) <= i && clock_monotonic_us() < deadline)
			(void)sched_yield();
	}
	atomic_store(&race.stop, true);
	for (int i = 0; i < RACE_THREADS; i++)
		thread_join(threads[i]);
	CU_ASSERT(atomic_load(&race.closed) == RACE_ROUNDS);
	kit_close(&kit);
}

UNIT_MAIN("handle", UNIT(stale_handle_is_ebadf), UNIT(many_cycles), UNIT(generation_wraps),
	  UNIT(limit_is_emfile), UNIT(accept_emfile_keeps_connection), UNIT(closed_owner_refuses),
	  UNIT(close_once))
