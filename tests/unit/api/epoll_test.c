/*
 * Epoll sets: what epoll_ctl refuses, level, edge and one-shot, nested sets, closes, the eventfd.  What is expected of edges was read off Linux 6.18 over loopback.
 */
#include "epoll.h"
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>

/* ---- Arguments. ---- */

static void test_ctl_errors(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct bed bed;

	open_bed(&bed);
	int set = bed.set, fd = bed.fds[0];

	REFUSED(weft_epoll_create1(bed.kit.a, 1), EINVAL);
	REFUSED(ctl(set, EPOLL_CTL_ADD, -1, EPOLLIN), EBADF);
	REFUSED(ctl(-1, EPOLL_CTL_ADD, fd, EPOLLIN), EBADF);
	REFUSED(weft_epoll_ctl(set, EPOLL_CTL_ADD, fd, NULL), EFAULT);
	REFUSED(ctl(fd, EPOLL_CTL_ADD, bed.fds[1], EPOLLIN), EINVAL);
	REFUSED(ctl(fd, EPOLL_CTL_ADD, -1, EPOLLIN), EBADF);
	REFUSED(ctl(set, EPOLL_CTL_ADD, set, EPOLLIN), EINVAL);
	REFUSED(ctl(set, 9, fd, EPOLLIN), EINVAL);
	REFUSED(ctl(set, EPOLL_CTL_MOD, fd, EPOLLIN), ENOENT);
	REFUSED(ctl(set, EPOLL_CTL_DEL, fd, EPOLLIN), ENOENT);
	add(set, fd, EPOLLIN);
	REFUSED(ctl(set, EPOLL_CTL_ADD, fd, EPOLLIN), EEXIST);
	REFUSED(ctl(set, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
	GIVES(weft_epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
	REFUSED(ctl(set, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
	REFUSED(ctl(set, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP), EINVAL);
	add(set, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET);
	REFUSED(weft_epoll_ctl(set, EPOLL_CTL_MOD, fd, &ev), EINVAL);
	int inner = new_set(bed.kit.a);

	REFUSED(ctl(set, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
	GIVES(weft_close(inner), 0);
	close_bed(&bed);
}

static void test_wait_errors(void)
{
	struct timespec bad = {.tv_nsec = -1};
	struct epoll_event ev;
	struct bed bed;
	char byte;

	open_bed(&bed);
	REFUSED(weft_epoll_wait(bed.set, &ev, 0, 0), EINVAL);
	REFUSED(weft_epoll_wait(bed.set, &ev, -1, 0), EINVAL);
	REFUSED(weft_epoll_wait(bed.set, &ev, INT_MAX, 0), EINVAL);
	REFUSED(weft_epoll_wait(bed.set, NULL, 1, 0), EFAULT);
	REFUSED(weft_epoll_wait(-1, &ev, 1, 0), EBADF);
	REFUSED(weft_epoll_wait(bed.fds[0], &ev, 1, 0), EINVAL);
	REFUSED(weft_epoll_eventfd(bed.fds[0]), EINVAL);
	REFUSED(weft_epoll_pwait2(bed.set, &ev, 1, &bad, NULL), EINVAL);
	REFUSED(weft_read(bed.set, &byte, 1), ENOTSOCK);
	weft_time_us begin = clock_monotonic_us();

	GIVES(weft_epoll_wait(bed.set, &ev, 1, 20), 0);
	CU_ASSERT(clock_monotonic_us() - begin >= 20000);
	bad = (struct timespec){.tv_nsec = 20000001};
	begin = clock_monotonic_us();
	GIVES(weft_epoll_pwait2(bed.set, &ev, 1, &bad, NULL), 0);
	CU_ASSERT(clock_monotonic_us() - begin >= 20001);
	GIVES(weft_epoll_pwait(bed.set, &ev, 1, 0, NULL), 0);
	GIVES(weft_close(bed.set), 0);
	REFUSED(weft_epoll_wait(bed.set, &ev, 1, 0), EBADF);
	REFUSED(weft_close(bed.set), EBADF);
	close_bed(&bed);
}

/* As on Linux: flags that fcntl gives and takes, and that mean nothing to the calls. */
static void test_flags(void)
{
	struct epoll_event ev;
	struct bed bed;

	open_bed(&bed);
	GIVES(weft_fcntl(bed.set, F_GETFL), O_RDWR);
	GIVES(weft_fcntl(bed.set, F_SETFL, O_NONBLOCK), 0);
	GIVES(weft_fcntl(bed.set, F_GETFL), O_RDWR | O_NONBLOCK);
	GIVES(weft_epoll_wait(bed.set, &ev, 1, 1), 0);
	GIVES(weft_fcntl(bed.set, F_SETFL, 0), 0);
	GIVES(weft_fcntl(bed.set, F_GETFL), O_RDWR);
	GIVES(weft_fcntl(bed.set, F_GETFD), FD_CLOEXEC);
	GIVES(weft_close(bed.set), 0);
	REFUSED(weft_fcntl(bed.set, F_GETFL), EBADF);
	close_bed(&bed);
}

/* ---- Modes. ---- */

static void test_level(void)
{
	struct bed bed;

	open_bed(&bed);
	add(bed.set, bed.fds[0], EPOLLIN);
	SAYS(bed.set, 0, 0);
	put(bed.fds[1], "xy");
	SAYS(bed.set, bed.fds[0], EPOLLIN);
	SAYS(bed.set, bed.fds[0], EPOLLIN);
	await_bytes(bed.fds[0], 2);
	take(bed.fds[0], 2);
	SAYS(bed.set, 0, 0);
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], EPOLLOUT), 0);
	SAYS(bed.set, bed.fds[0], EPOLLOUT);
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], 0), 0);
	SAYS(bed.set, 0, 0);
	/* Not asked for, and told all the same. */
	kit_reset(bed.fds[1]);
	SAYS(bed.set, bed.fds[0], EPOLLERR | EPOLLHUP);
	close_bed(&bed);
}

static void test_edge(void)
{
	struct bed bed;

	open_bed(&bed);
	add(bed.set, bed.fds[0], EPOLLIN | EPOLLOUT | EPOLLET);
	SAYS(bed.set, bed.fds[0], EPOLLOUT);
	SAYS(bed.set, 0, 0);
	put(bed.fds[1], "x");
	SAYS(bed.set, bed.fds[0], EPOLLIN | EPOLLOUT);
	SAYS(bed.set, 0, 0);
	/* More, while the first is still there. */
	put(bed.fds[1], "y");
	SAYS(bed.set, bed.fds[0], EPOLLIN | EPOLLOUT);
	await_bytes(bed.fds[0], 2);
	take(bed.fds[0], 1);
	SAYS(bed.set, 0, 0);
	take(bed.fds[0], 1);
	/* An ACK alone is no event while there is room. */
	put(bed.fds[0], "z");
	await_bytes(bed.fds[1], 1);
	put(bed.fds[1], "w");
	SAYS(bed.set, bed.fds[0], EPOLLIN | EPOLLOUT);
	SAYS(bed.set, 0, 0);
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], EPOLLIN | EPOLLET), 0);
	SAYS(bed.set, bed.fds[0], EPOLLIN);
	take(bed.fds[1], 1);
	GIVES(weft_shutdown(bed.fds[1], SHUT_WR), 0);
	SAYS(bed.set, bed.fds[0], EPOLLIN);
	SAYS(bed.set, 0, 0);
	close_bed(&bed);
}

/* An edge of room: only after somebody found too little. */
static void test_edge_room(void)
{
	static char bytes[65536];
	struct bed bed;
	size_t sum = 0;
	ssize_t n;

	open_bed(&bed);
	kit_set(bed.fds[0], SOL_SOCKET, SO_SNDBUF, 65536);
	kit_set(bed.fds[1], SOL_SOCKET, SO_RCVBUF, 65536);
	add(bed.set, bed.fds[0], EPOLLOUT | EPOLLET);
	SAYS(bed.set, bed.fds[0], EPOLLOUT);
	put(bed.fds[0], "x");
	await_bytes(bed.fds[1], 1);
	put(bed.fds[1], "x"); /* with the ACK */
	await_bytes(bed.fds[0], 1);
	SAYS(bed.set, 0, 0);
	for (int tries = 0; tries < 200; tries++) {
		while ((n = weft_send(bed.fds[0], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
			sum += (size_t)n;
		kit_pause();
	}
	sum++;
	while (sum > 0) {
		n = weft_read(bed.fds[1], bytes, sizeof(bytes));
		CU_ASSERT_FATAL(n > 0);
		sum -= (size_t)n;
	}
	SAYS(bed.set, bed.fds[0], EPOLLOUT);
	close_bed(&bed);
}

static void test_oneshot(void)
{
	struct bed bed;

	open_bed(&bed);
	add(bed.set, bed.fds[0], EPOLLIN | EPOLLONESHOT);
	put(bed.fds[1], "x");
	SAYS(bed.set, bed.fds[0], EPOLLIN);
	SAYS(bed.set, 0, 0);
	put(bed.fds[1], "x");
	await_bytes(bed.fds[0], 2);
	SAYS(bed.set, 0, 0);
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], EPOLLIN | EPOLLONESHOT), 0);
	SAYS(bed.set, bed.fds[0], EPOLLIN);
	SAYS(bed.set, 0, 0);
	close_bed(&bed);
}

static void test_events(void)
{
	struct bed bed;

	open_bed(&bed);
	add(bed.set, bed.fds[0], EPOLLRDHUP);
	add(bed.set, bed.fds[1], EPOLLHUP);
	SAYS(bed.set, 0, 0);
	put(bed.fds[1], "x");
	await_bytes(bed.fds[0], 1);
	SAYS(bed.set, 0, 0);
	GIVES(weft_shutdown(bed.fds[1], SHUT_WR), 0);
	SAYS(bed.set, bed.fds[0], EPOLLRDHUP);
	GIVES(ctl(bed.set, EPOLL_CTL_DEL, bed.fds[0], 0), 0);
	SAYS(bed.set, 0, 0);
	GIVES(weft_shutdown(bed.fds[0], SHUT_WR), 0);
	SAYS(bed.set, bed.fds[1], EPOLLHUP);
	close_bed(&bed);
}

/* Several ready ones, fewer asked for: in turns. */
static void test_turns(void)
{
	enum { COUNT = 5 };
	struct bed bed;
	int listeners[COUNT];
	unsigned seen = 0;

	open_bed(&bed);
	for (int i = 0; i < COUNT; i++) {
		listeners[i] = kit_socket(bed.kit.a, AF_INET);
		add(bed.set, listeners[i], EPOLLOUT);
	}
	for (int i = 0; i < COUNT; i++) {
		struct epoll_event ev;

		GIVES(weft_epoll_wait(bed.set, &ev, 1, 0), 1);
		for (int j = 0; j < COUNT; j++)
			seen |= (unsigned)(ev.data.fd == listeners[j]) << j;
	}
	CU_ASSERT(seen == (1u << COUNT) - 1);
	for (int i = 0; i < COUNT; i++)
		GIVES(weft_close(listeners[i]), 0);
	SAYS(bed.set, 0, 0);
	close_bed(&bed);
}

/* ---- Sets in sets, closes. ---- */

static void test_nested(void)
{
	struct bed bed;
	struct pollfd p = {.events = POLLIN | POLLOUT};

	open_bed(&bed);
	int outer = new_set(bed.kit.b);

	add(outer, bed.set, EPOLLIN);
	SAYS(outer, 0, 0);
	add(bed.set, bed.fds[0], EPOLLIN);
	put(bed.fds[1], "x");
	SAYS(outer, bed.set, EPOLLIN);
	p.fd = outer;
	GIVES(weft_poll(&p, 1, FOREVER_MS), 1);
	CU_ASSERT(p.revents == POLLIN);
	take(bed.fds[0], 1);
	SAYS(outer, 0, 0);
	GIVES(weft_poll(&p, 1, 0), 0);
	/* An edge inside is an edge outside. */
	GIVES(ctl(outer, EPOLL_CTL_MOD, bed.set, EPOLLIN | EPOLLET), 0);
	put(bed.fds[1], "x");
	SAYS(outer, bed.set, EPOLLIN);
	SAYS(outer, 0, 0);
	GIVES(weft_close(bed.set), 0);
	SAYS(outer, 0, 0);
	GIVES(weft_close(outer), 0);
	close_bed(&bed);
}

static void test_loops(void)
{
	struct kit kit;
	int sets[6];

	kit_open(&kit);
	for (int i = 0; i < 6; i++)
		sets[i] = new_set(kit.a);
	/* Short enough, and a loop. */
	add(sets[0], sets[1], EPOLLIN);
	REFUSED(ctl(sets[1], EPOLL_CTL_ADD, sets[0], EPOLLIN), ELOOP);
	for (int i = 1; i < 4; i++)
		add(sets[i], sets[i + 1], EPOLLIN);
	REFUSED(ctl(sets[4], EPOLL_CTL_ADD, sets[0], EPOLLIN), ELOOP);
	REFUSED(ctl(sets[1], EPOLL_CTL_ADD, sets[0], EPOLLIN), ELOOP);
	REFUSED(ctl(sets[4], EPOLL_CTL_ADD, sets[5], EPOLLIN), ELOOP);
	REFUSED(ctl(sets[5], EPOLL_CTL_ADD, sets[0], EPOLLIN), ELOOP);
	add(sets[3], sets[5], EPOLLIN);
	GIVES(weft_close(sets[2]), 0);
	add(sets[4], sets[0], EPOLLIN);
	for (int i = 0; i < 6; i++)
		(void)weft_close(sets[i]);
	kit_close(&kit);
}

/* A socket that is closed is in no set any more, and the other way round. */
static void test_closes(void)
{
	struct bed bed;

	open_bed(&bed);
	int other = new_set(bed.kit.b);

	add(bed.set, bed.fds[0], EPOLLOUT);
	add(other, bed.fds[0], EPOLLOUT);
	SAYS(other, bed.fds[0], EPOLLOUT);
	GIVES(weft_close(bed.fds[0]), 0);
	SAYS(bed.set, 0, 0);
	SAYS(other, 0, 0);
	REFUSED(ctl(other, EPOLL_CTL_DEL, bed.fds[0], 0), EBADF);
	add(bed.set, bed.fds[1], EPOLLIN);
	GIVES(weft_close(bed.set), 0);
	GIVES(weft_close(other), 0);
	close_bed(&bed);
}

/* ---- The eventfd. ---- */

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

/* It shows that nothing is left before anybody has looked. */
static void test_eventfd_settles(void)
{
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	int set = new_set(kit.b);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);

	add(set, listener, EPOLLIN);
	int fd = weft_epoll_eventfd(set);

	fds[0] = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(fds[0], KIT_B4, 80), 0);
	CU_ASSERT(is_readable(fd, FOREVER_MS));
	fds[1] = weft_accept(listener, NULL, NULL);
	CU_ASSERT(!is_readable(fd, 0));
	add(set, fds[1], EPOLLIN);
	put(fds[0], "ab");
	CU_ASSERT(is_readable(fd, FOREVER_MS));
	await_bytes(fds[1], 2);
	SAYS(set, fds[1], EPOLLIN);
	take(fds[1], 1);
	CU_ASSERT(is_readable(fd, 0));
	take(fds[1], 1);
	CU_ASSERT(!is_readable(fd, 0));
	put(fds[0], "c");
	CU_ASSERT(is_readable(fd, FOREVER_MS));
	take(fds[1], 1);
	CU_ASSERT(!is_readable(fd, 0));
	GIVES(weft_close(listener), 0);
	GIVES(weft_close(fds[0]), 0);
	CU_ASSERT(is_readable(fd, FOREVER_MS));
	GIVES(weft_close(fds[1]), 0);
	CU_ASSERT(!is_readable(fd, 0));
	GIVES(weft_close(set), 0);
	kit_close(&kit);
}

static void test_eventfd(void)
{
	struct bed bed;

	open_bed(&bed);
	int fd = weft_epoll_eventfd(bed.set);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(weft_epoll_eventfd(bed.set) == fd);
	CU_ASSERT(!is_readable(fd, 0));
	add(bed.set, bed.fds[0], EPOLLIN);
	CU_ASSERT(!is_readable(fd, 0));
	put(bed.fds[1], "x");
	CU_ASSERT(is_readable(fd, FOREVER_MS));
	SAYS(bed.set, bed.fds[0], EPOLLIN);
	CU_ASSERT(is_readable(fd, 0));
	take(bed.fds[0], 1);
	CU_ASSERT(!is_readable(fd, 0));
	SAYS(bed.set, 0, 0);
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], EPOLLOUT | EPOLLET), 0);
	CU_ASSERT(is_readable(fd, FOREVER_MS));
	SAYS(bed.set, bed.fds[0], EPOLLOUT);
	CU_ASSERT(!is_readable(fd, 0));
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], EPOLLOUT), 0);
	CU_ASSERT(is_readable(fd, 0));
	GIVES(ctl(bed.set, EPOLL_CTL_DEL, bed.fds[0], 0), 0);
	CU_ASSERT(!is_readable(fd, 0));
	/* One that is asked for late finds what is there. */
	int late = new_set(bed.kit.a);

	add(late, bed.fds[0], EPOLLOUT);
	CU_ASSERT(is_readable(weft_epoll_eventfd(late), 0));
	GIVES(weft_close(late), 0);
	GIVES(weft_close(bed.set), 0);
	/* It goes with the set's last reference, which a thread of the stack may have for a moment. */
	for (unsigned i = 0; i < 10000 && fcntl(fd, F_GETFD) != -1; i++)
		kit_pause();
	CU_ASSERT(fcntl(fd, F_GETFD) == -1);
	close_bed(&bed);
}

/*
 * A write that leaves little room ends readiness without a look: the item leaves the list of a set with an
 * eventfd.  The room that comes has to bring it back.
 */
static void test_eventfd_hears_of_room(void)
{
	static char bytes[4096];
	struct bed bed;
	size_t total = 0;

	open_bed(&bed);
	int fd = weft_epoll_eventfd(bed.set);

	add(bed.set, bed.fds[0], EPOLLOUT);
	SAYS(bed.set, bed.fds[0], EPOLLOUT);
	for (ssize_t n = 1; n > 0 && is_readable(fd, 0); total += n > 0 ? (size_t)n : 0)
		n = weft_send(bed.fds[0], bytes, sizeof(bytes), MSG_DONTWAIT);
	while (total > 0) {
		ssize_t n = weft_recv(bed.fds[1], bytes, sizeof(bytes), 0);

		CU_ASSERT_FATAL(n > 0);
		total -= (size_t)n;
	}
	CU_ASSERT_FATAL(is_readable(fd, FOREVER_MS)); /* or SAYS waits as long again */
	SAYS(bed.set, bed.fds[0], EPOLLOUT);
	close_bed(&bed);
}

/* Written once for all events until the list is empty again: a loop that waits for edges hears one. */
static void test_eventfd_once(void)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	int kernel = epoll_create1(EPOLL_CLOEXEC);
	struct bed bed;

	open_bed(&bed);
	int fd = weft_epoll_eventfd(bed.set);

	CU_ASSERT_FATAL(kernel >= 0 && epoll_ctl(kernel, EPOLL_CTL_ADD, fd, &ev) == 0);
	add(bed.set, bed.fds[0], EPOLLIN);
	for (int round = 0; round < 2; round++) {
		put(bed.fds[1], "x");
		GIVES(epoll_wait(kernel, &ev, 1, FOREVER_MS), 1);
		put(bed.fds[1], "y");
		await_bytes(bed.fds[0], 2);
		SAYS(bed.set, bed.fds[0], EPOLLIN);
		GIVES(epoll_wait(kernel, &ev, 1, 0), 0);
		take(bed.fds[0], 2);
		CU_ASSERT(!is_readable(fd, 0));
	}
	close_bed(&bed);
	(void)close(kernel);
}

/* Items that were there before it hear of what is gone, too. */
static void test_eventfd_late(void)
{
	struct bed bed;

	open_bed(&bed);
	add(bed.set, bed.fds[0], EPOLLIN);
	int fd = weft_epoll_eventfd(bed.set);

	put(bed.fds[1], "x");
	CU_ASSERT(is_readable(fd, FOREVER_MS));
	take(bed.fds[0], 1);
	CU_ASSERT(!is_readable(fd, 0));
	close_bed(&bed);
}

/* Whoever waits for it in the kernel hears of the set's end. */
static void test_eventfd_end(void)
{
	struct bed bed;

	open_bed(&bed);
	int fd = fcntl(weft_epoll_eventfd(bed.set), F_DUPFD_CLOEXEC, 0);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(!is_readable(fd, 0));
	GIVES(weft_close(bed.set), 0);
	CU_ASSERT(is_readable(fd, 0));
	(void)close(fd);
	close_bed(&bed);
}

/* A one-shot item that is off does nothing to the set: its socket's end is no news. */
static void test_disarmed(void)
{
	struct pollfd p = {0};
	struct bed bed;

	open_bed(&bed);
	int fd = weft_epoll_eventfd(bed.set);

	add(bed.set, bed.fds[0], EPOLLIN | EPOLLONESHOT);
	put(bed.fds[1], "x");
	SAYS(bed.set, bed.fds[0], EPOLLIN);
	CU_ASSERT(!is_readable(fd, 0));
	kit_reset(bed.fds[1]);
	p.fd = bed.fds[0];
	GIVES(weft_poll(&p, 1, FOREVER_MS), 1);
	CU_ASSERT(!is_readable(fd, 0));
	SAYS(bed.set, 0, 0);
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], EPOLLIN | EPOLLONESHOT), 0);
	CU_ASSERT(is_readable(fd, 0));
	close_bed(&bed);
}

UNIT_MAIN("epoll", UNIT(ctl_errors), UNIT(wait_errors), UNIT(flags), UNIT(level), UNIT(edge),
	  UNIT(edge_room), UNIT(oneshot), UNIT(events), UNIT(turns), UNIT(eventfd_hears_of_room),
	  UNIT(nested), UNIT(loops), UNIT(closes), UNIT(eventfd), UNIT(eventfd_settles),
	  UNIT(eventfd_once), UNIT(eventfd_late), UNIT(eventfd_end), UNIT(disarmed))
