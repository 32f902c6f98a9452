/*
 * SO_REUSEPORT: several listeners on one port share its connections, each connection has one of them, and
 * one that goes takes none from the others.
 */
#include "kit.h"

enum { GROUP = 4, CONNS = 64 };

static int member(struct kit *kit, const char *text, uint16_t port, bool is_shared)
{
	struct kit_addr a = kit_addr(text, port);
	int fd = kit_socket(kit->b, a.ss.ss_family);

	kit_set(fd, SOL_SOCKET, SO_REUSEPORT, is_shared);
	CU_ASSERT(kit_get(fd, SOL_SOCKET, SO_REUSEPORT) == is_shared);
	if (weft_bind(fd, kit_sa(&a), a.len) == 0 && weft_listen(fd, CONNS) == 0)
		return fd;
	int error = errno;

	GIVES(weft_close(fd), 0);
	errno = error;
	return -1;
}

/* Connects, and says whose accept queue the connection came to; closed at both ends again. */
static int connect_one(struct kit *kit, const int *group, const char *text)
{
	int fd = kit_socket(kit->a, AF_INET);

	kit_set_linger(fd, 0);
	GIVES(kit_connect(fd, text, 80), 0);
	for (int tries = 0; tries < 5000; tries++) {
		for (int i = 0; i < GROUP; i++) {
			int child = group[i] < 0 ? -1 : weft_accept(group[i], NULL, NULL);

			if (child < 0)
				continue;
			GIVES(weft_close(fd), 0);
			GIVES(weft_close(child), 0);
			return i;
		}
		kit_pause();
	}
	CU_FAIL("nobody has the connection");
	return -1;
}

static void open_group(struct kit *kit, int group[GROUP])
{
	for (int i = 0; i < GROUP; i++) {
		group[i] = member(kit, KIT_B4, 80, true);
		CU_ASSERT_FATAL(group[i] >= 0);
		GIVES(weft_fcntl(group[i], F_SETFL, O_NONBLOCK), 0);
	}
}

static void test_connections_are_shared(void)
{
	unsigned count[GROUP] = {0};
	int group[GROUP];
	struct kit kit;

	kit_open(&kit);
	open_group(&kit, group);
	for (int i = 0; i < CONNS; i++)
		count[connect_one(&kit, group, KIT_B4)]++;
	for (int i = 0; i < GROUP; i++)
		CU_ASSERT(count[i] > 0);
	/* One goes: the others have all that comes now. */
	GIVES(weft_close(group[1]), 0);
	group[1] = -1;
	memset(count, 0, sizeof(count));
	for (int i = 0; i < CONNS; i++)
		count[connect_one(&kit, group, KIT_B4)]++;
	CU_ASSERT(count[0] > 0 && count[1] == 0 && count[2] > 0 && count[3] > 0);
	/* And one more comes, while connections of the port are in TIME-WAIT. */
	group[1] = member(&kit, KIT_B4, 80, true);
	CU_ASSERT_FATAL(group[1] >= 0);
	for (int i = 0; i < GROUP; i++)
		GIVES(weft_close(group[i]), 0);
	kit_close(&kit);
}

/* What waits in a closed member's queue is reset; the others' stays. */
static void test_queue_of_one_that_goes(void)
{
	int group[GROUP], fds[16];
	unsigned left = 0, reset = 0;
	struct kit kit;

	kit_open(&kit);
	open_group(&kit, group);
	for (int i = 0; i < 16; i++) {
		fds[i] = kit_socket(kit.a, AF_INET);
		GIVES(kit_connect(fds[i], KIT_B4, 80), 0);
	}
	kit_await_conns(kit.b, 16);
	GIVES(weft_close(group[0]), 0);
	for (int i = 1; i < GROUP; i++)
		for (int child; (child = weft_accept(group[i], NULL, NULL)) >= 0; left++) {
			GIVES(weft_send(child, "x", 1, 0), 1);
			GIVES(weft_close(child), 0);
		}
	for (int i = 0; i < 16; i++) {
		reset += kit_await(fds[i]) < 0;
		GIVES(weft_close(fds[i]), 0);
	}
	CU_ASSERT(left > 0 && left + reset == 16);
	for (int i = 1; i < GROUP; i++)
		GIVES(weft_close(group[i]), 0);
	kit_close(&kit);
}

static void test_all_must_want_it(void)
{
	struct kit kit;
	int first, second;

	kit_open(&kit);
	first = member(&kit, KIT_B4, 80, true);
	FAILS(member(&kit, KIT_B4, 80, false), EADDRINUSE);
	FAILS(member(&kit, "0.0.0.0", 80, false), EADDRINUSE);
	second = member(&kit, "0.0.0.0", 80, true);
	CU_ASSERT(first >= 0 && second >= 0);
	GIVES(weft_close(second), 0);
	GIVES(weft_close(first), 0);
	first = member(&kit, KIT_B4, 80, false);
	FAILS(member(&kit, KIT_B4, 80, true), EADDRINUSE);
	/* The setting counts when it is bound. */
	kit_set(first, SOL_SOCKET, SO_REUSEPORT, 1);
	FAILS(member(&kit, KIT_B4, 80, true), EADDRINUSE);
	GIVES(weft_close(first), 0);
	kit_close(&kit);
}

/* The more particular address wins, and IPv4's own wildcard over the dual-stack one. */
static void test_addresses_rank_as_without_it(void)
{
	struct kit kit;
	int group[GROUP] = {-1, -1, -1, -1};

	kit_open(&kit);
	group[0] = member(&kit, "::", 80, true);
	CU_ASSERT_FATAL(group[0] >= 0);
	GIVES(weft_fcntl(group[0], F_SETFL, O_NONBLOCK), 0);
	CU_ASSERT(connect_one(&kit, group, KIT_B4) == 0);
	group[1] = member(&kit, "0.0.0.0", 80, true);
	CU_ASSERT_FATAL(group[1] >= 0);
	GIVES(weft_fcntl(group[1], F_SETFL, O_NONBLOCK), 0);
	CU_ASSERT(connect_one(&kit, group, KIT_B4) == 1);
	group[2] = member(&kit, KIT_B4, 80, true);
	CU_ASSERT_FATAL(group[2] >= 0);
	GIVES(weft_fcntl(group[2], F_SETFL, O_NONBLOCK), 0);
	CU_ASSERT(connect_one(&kit, group, KIT_B4) == 2);
	for (int i = 0; i < 3; i++)
		GIVES(weft_close(group[i]), 0);
	kit_close(&kit);
}

UNIT_MAIN("reuseport", UNIT(connections_are_shared), UNIT(queue_of_one_that_goes),
	  UNIT(all_must_want_it), UNIT(addresses_rank_as_without_it))
