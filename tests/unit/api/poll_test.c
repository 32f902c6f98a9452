/*
 * weft_poll, weft_ppoll, weft_select and weft_pselect.  What poll says of a socket in each state was
 * read off Linux 6.18 over loopback: the table in 'states' and its functions.
 */
#include "kit.h"
#include "net/base/counters.h"
#include <limits.h>

enum {
	ASK = POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM |
	      POLLWRBAND,
	IN = POLLIN | POLLRDNORM,
	OUT = POLLOUT | POLLWRNORM,
	ENDED = IN | OUT | POLLHUP | POLLRDHUP,
	FOREVER_MS = 20000,
};

/* As FAILS, in a function: many in a row are no maze. */
#define REFUSED(call, error) refused((long long)(call), (error), __LINE__)

static void refused(long long rc, int error, int line)
{
	int found = errno;

	if (rc != -1 || found != error)
		printf("line %d: %lld, %s\n", line, rc, strerrorname_np(found));
	CU_ASSERT(rc == -1 && found == error);
}

static int mask_of(int fd)
{
	struct pollfd p = {.fd = fd, .events = ASK, .revents = -1};
	int rc = weft_poll(&p, 1, 0);

	CU_ASSERT(rc == (p.revents != 0));
	return p.revents;
}

/* The mask comes to be 'mask', soon. */
#define SHOWS(fd, mask) shows(fd, mask, __LINE__)

static void shows(int fd, int mask, int line)
{
	weft_time_us deadline = clock_monotonic_us() + 5 * US_PER_S;
	int found;

	while ((found = mask_of(fd)) != mask && clock_monotonic_us() < deadline)
		kit_pause();
	if (found != mask)
		printf("line %d: poll says %#x instead of %#x\n", line, (unsigned)found,
		       (unsigned)mask);
	CU_ASSERT(found == mask);
}

static void put(int fd, const char *text)
{
	GIVES(weft_write(fd, text, strlen(text)), (long long)strlen(text));
}

static void close_both(const int fds[2])
{
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
}

/* ---- The table. ---- */

static void test_unconnected(void)
{
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);

	SHOWS(fd, OUT | POLLHUP);
	GIVES(kit_bind(fd, KIT_A4, 0), 0);
	SHOWS(fd, OUT | POLLHUP);
	GIVES(weft_close(fd), 0);
	SHOWS(fd, POLLNVAL);
	kit_close(&kit);
}

static void test_listener(void)
{
	struct kit kit;

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	int fd = kit_socket(kit.a, AF_INET);

	SHOWS(listener, 0);
	GIVES(kit_connect(fd, KIT_B4, 80), 0);
	SHOWS(listener, IN);
	SHOWS(fd, OUT);
	int child = weft_accept(listener, NULL, NULL);

	SHOWS(listener, 0);
	SHOWS(child, OUT);
	GIVES(weft_shutdown(listener, SHUT_WR), 0);
	SHOWS(listener, 0);
	GIVES(weft_shutdown(listener, SHUT_RD), 0);
	SHOWS(listener, OUT | POLLHUP);
	GIVES(weft_close(listener), 0);
	GIVES(weft_close(fd), 0);
	GIVES(weft_close(child), 0);
	kit_close(&kit);
}

static int take_error(int fd)
{
	return kit_get(fd, SOL_SOCKET, SO_ERROR);
}

static void test_refused(void)
{
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);

	GIVES(weft_fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	REFUSED(kit_connect(fd, KIT_B4, 81), EINPROGRESS);
	SHOWS(fd, ENDED | POLLERR);
	CU_ASSERT(take_error(fd) == ECONNREFUSED);
	SHOWS(fd, ENDED);
	REFUSED(kit_connect(fd, KIT_B4, 81), ECONNABORTED);
	SHOWS(fd, OUT | POLLHUP);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

/* A host that does not answer: there is no such address at the peer. */
static void test_connecting(void)
{
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);

	GIVES(weft_fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	REFUSED(kit_connect(fd, "192.0.2.77", 80), EINPROGRESS);
	SHOWS(fd, 0);
	GIVES(weft_shutdown(fd, SHUT_RDWR), 0);
	SHOWS(fd, OUT | POLLHUP | POLLERR);
	CU_ASSERT(take_error(fd) == ECONNRESET);
	SHOWS(fd, OUT | POLLHUP);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_connected(void)
{
	struct kit kit;
	char byte;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	SHOWS(fds[0], OUT);
	put(fds[1], "x");
	SHOWS(fds[0], IN | OUT);
	GIVES(weft_read(fds[0], &byte, 1), 1);
	SHOWS(fds[0], OUT);
	GIVES(weft_shutdown(fds[1], SHUT_WR), 0);
	SHOWS(fds[1], OUT);
	SHOWS(fds[0], IN | OUT | POLLRDHUP);
	GIVES(weft_read(fds[0], &byte, 1), 0);
	SHOWS(fds[0], IN | OUT | POLLRDHUP);
	GIVES(weft_shutdown(fds[0], SHUT_WR), 0);
	SHOWS(fds[0], ENDED);
	SHOWS(fds[1], ENDED);
	close_both(fds);
	kit_close(&kit);
}

static void test_shut(void)
{
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	GIVES(weft_shutdown(fds[0], SHUT_RD), 0);
	SHOWS(fds[0], IN | OUT | POLLRDHUP);
	GIVES(weft_shutdown(fds[0], SHUT_WR), 0);
	SHOWS(fds[0], ENDED);
	SHOWS(fds[1], IN | OUT | POLLRDHUP);
	close_both(fds);
	kit_close(&kit);
}

static void test_reset(void)
{
	struct kit kit;
	char byte;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_reset(fds[1]);
	SHOWS(fds[0], ENDED | POLLERR);
	REFUSED(weft_read(fds[0], &byte, 1), ECONNRESET);
	SHOWS(fds[0], ENDED);
	GIVES(weft_close(fds[0]), 0);
	kit_join(&kit, fds);
	GIVES(weft_shutdown(fds[1], SHUT_WR), 0);
	SHOWS(fds[0], IN | OUT | POLLRDHUP);
	kit_reset(fds[1]);
	SHOWS(fds[0], ENDED | POLLERR);
	CU_ASSERT(take_error(fds[0]) == EPIPE);
	GIVES(weft_close(fds[0]), 0);
	kit_close(&kit);
}

static void test_lowat(void)
{
	static const char zeros[100];
	struct kit kit;
	char bytes[100];
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_set(fds[0], SOL_SOCKET, SO_RCVLOWAT, 100);
	GIVES(weft_write(fds[1], zeros, 99), 99);
	CU_ASSERT(kit_await(fds[0]) == 1);
	SHOWS(fds[0], OUT);
	GIVES(weft_write(fds[1], zeros, 1), 1);
	SHOWS(fds[0], IN | OUT);
	GIVES(weft_read(fds[0], bytes, 100), 100);
	GIVES(weft_write(fds[1], zeros, 5), 5);
	CU_ASSERT(kit_await(fds[0]) == 1);
	SHOWS(fds[0], OUT);
	kit_set(fds[0], SOL_SOCKET, SO_RCVLOWAT, 5);
	SHOWS(fds[0], IN | OUT);
	kit_set(fds[0], SOL_SOCKET, SO_RCVLOWAT, 50);
	SHOWS(fds[0], OUT);
	GIVES(weft_shutdown(fds[1], SHUT_WR), 0);
	SHOWS(fds[0], IN | OUT | POLLRDHUP);
	close_both(fds);
	kit_close(&kit);
}

/* Sends until EAGAIN; how much that was. */
static size_t fill(int fd)
{
	static const char zeros[4096];
	size_t sum = 0;
	ssize_t n;

	while ((n = weft_send(fd, zeros, sizeof(zeros), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	CU_ASSERT(errno == EAGAIN);
	return sum;
}

static void drain(int fd, size_t size)
{
	static char bytes[4096];

	while (size > 0) {
		ssize_t n = weft_read(fd, bytes, size < sizeof(bytes) ? size : sizeof(bytes));

		CU_ASSERT_FATAL(n > 0);
		size -= (size_t)n;
	}
}

static void test_full(void)
{
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_set(fds[0], SOL_SOCKET, SO_SNDBUF, 65536);
	kit_set(fds[1], SOL_SOCKET, SO_RCVBUF, 65536);
	size_t sum = fill(fds[0]);

	while (mask_of(fds[0]) & POLLOUT)
		sum += fill(fds[0]);
	SHOWS(fds[0], 0);
	drain(fds[1], sum);
	SHOWS(fds[0], OUT);
	close_both(fds);
	kit_close(&kit);
}

/* ---- The call. ---- */

static void test_arguments(void)
{
	struct kit kit;
	struct pollfd p[3] = {{.fd = -1, .events = ASK, .revents = -1},
			      {.fd = 1 << 30, .events = ASK, .revents = -1}};
	struct timespec bad = {.tv_nsec = 1000000000};

	kit_open(&kit);
	GIVES(weft_poll(p, 1, 0), 0);
	CU_ASSERT(p[0].revents == 0);
	p[2].fd = kit_socket(kit.a, AF_INET);
	p[2].revents = -1;
	GIVES(weft_poll(p, 3, -1), 2);
	CU_ASSERT(p[0].revents == 0 && p[1].revents == POLLNVAL && p[2].revents == POLLHUP);
	REFUSED(weft_poll(p, (nfds_t)WEFT_POLL_MAX + 1, 0), EINVAL);
	REFUSED(weft_poll(NULL, 1, 0), EFAULT);
	REFUSED(weft_ppoll(p, 1, &bad, NULL), EINVAL);
	bad = (struct timespec){.tv_sec = -1};
	REFUSED(weft_ppoll(p, 1, &bad, NULL), EINVAL);
	GIVES(weft_poll(NULL, 0, 0), 0);
	GIVES(weft_close(p[2].fd), 0);
	kit_close(&kit);
}

/* As many as the limit says, and 40 with something to find in the last. */
static void test_many(void)
{
	struct kit kit;
	struct pollfd *p = calloc(WEFT_POLL_MAX, sizeof(*p));
	char byte = 1;
	int fds[2];

	if (!p) {
		CU_FAIL("no memory");
		return;
	}
	kit_open(&kit);
	kit_join(&kit, fds);
	for (int i = 0; i < WEFT_POLL_MAX; i++)
		p[i].fd = -1;
	GIVES(weft_poll(p, WEFT_POLL_MAX, 0), 0);
	GIVES(weft_write(fds[1], &byte, 1), 1);
	p[39] = (struct pollfd){.fd = fds[0], .events = POLLIN};
	GIVES(weft_poll(p, 40, FOREVER_MS), 1);
	CU_ASSERT(p[39].revents == POLLIN && p[38].revents == 0);
	close_both(fds);
	kit_close(&kit);
	free(p);
}

static void test_timeout(void)
{
	struct kit kit;
	struct pollfd p = {.events = POLLIN, .revents = -1};
	struct timespec ts = {.tv_nsec = 20000001};
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	p.fd = fds[0];
	weft_time_us begin = clock_monotonic_us();

	GIVES(weft_poll(&p, 1, 20), 0);
	CU_ASSERT(clock_monotonic_us() - begin >= 20000);
	CU_ASSERT(p.revents == 0);
	begin = clock_monotonic_us();
	GIVES(weft_ppoll(&p, 1, &ts, NULL), 0);
	CU_ASSERT(clock_monotonic_us() - begin >= 20001);
	begin = clock_monotonic_us();
	GIVES(weft_poll(NULL, 0, 20), 0);
	CU_ASSERT(clock_monotonic_us() - begin >= 20000);
	/* Not a matter of O_NONBLOCK. */
	GIVES(weft_fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	begin = clock_monotonic_us();
	GIVES(weft_poll(&p, 1, 20), 0);
	CU_ASSERT(clock_monotonic_us() - begin >= 20000);
	close_both(fds);
	kit_close(&kit);
}

static ssize_t run_poll(struct kit_call *call)
{
	struct pollfd p = {.fd = call->fd, .events = POLLIN | POLLRDHUP};
	int rc = weft_poll(&p, 1, FOREVER_MS);

	return rc == 1 ? p.revents : rc;
}

/* A blocked poll hears of data, of an end, of its handle's close and of the stack's. */
static void test_wakes(void)
{
	struct kit_call call;
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_call_start(&call, fds[0], run_poll);
	put(fds[1], "x");
	kit_call_join(&call);
	CU_ASSERT(call.rc == POLLIN);
	drain(fds[0], 1);
	kit_call_start(&call, fds[0], run_poll);
	GIVES(weft_shutdown(fds[1], SHUT_WR), 0);
	kit_call_join(&call);
	CU_ASSERT(call.rc == (POLLIN | POLLRDHUP));
	kit_call_start(&call, fds[1], run_poll);
	GIVES(weft_close(fds[1]), 0);
	kit_call_join(&call);
	CU_ASSERT(call.rc & POLLNVAL || call.rc & POLLRDHUP);
	GIVES(weft_close(fds[0]), 0);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);

	kit_call_start(&call, listener, run_poll);
	int fd = kit_socket(kit.a, AF_INET);

	GIVES(kit_connect(fd, KIT_B4, 80), 0);
	kit_call_join(&call);
	CU_ASSERT(call.rc == POLLIN);
	GIVES(weft_close(weft_accept(listener, NULL, NULL)), 0);
	kit_call_start(&call, listener, run_poll);
	weft_stack_close(kit.b);
	kit_call_join(&call);
	CU_ASSERT(call.rc == POLLNVAL);
	GIVES(weft_close(fd), 0);
	weft_stack_close(kit.a);
}

struct both {
	int fds[2];
	int rc;
	pthread_t thread;
};

static void *poll_both(void *arg)
{
	struct both *both = arg;
	struct pollfd p[2] = {{.fd = both->fds[0], .events = POLLIN},
			      {.fd = both->fds[1], .events = POLLIN}};

	both->rc = weft_poll(p, 2, FOREVER_MS);
	CU_ASSERT(p[1].revents == POLLIN);
	return NULL;
}

/* Sockets of two stacks in one call. */
static void test_two_stacks(void)
{
	struct kit kit;
	int fds[2], more[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_join(&kit, more);
	struct both both = {.fds = {fds[0], more[1]}};

	CU_ASSERT_FATAL(thread_start(&both.thread, "poll", poll_both, &both) == 0);
	kit_pause();
	put(more[0], "x");
	thread_join(both.thread);
	CU_ASSERT(both.rc == 1);
	close_both(fds);
	close_both(more);
	kit_close(&kit);
}

/* ---- select ---- */

static void test_select(void)
{
	static weft_fd_set r, w, e;
	struct timeval tv = {.tv_usec = -1};
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	WEFT_FD_ZERO(&r);
	WEFT_FD_ZERO(&w);
	WEFT_FD_ZERO(&e);
	WEFT_FD_SET(fds[0], &r);
	WEFT_FD_SET(fds[1], &r);
	WEFT_FD_SET(fds[1], &r);
	WEFT_FD_SET(fds[0], &w);
	WEFT_FD_SET(fds[0], &e);
	CU_ASSERT(r.count == 2);
	REFUSED(weft_select(INT_MAX, &r, &w, &e, &tv), EINVAL);
	REFUSED(weft_select(-1, &r, &w, &e, NULL), EINVAL);
	put(fds[1], "x");
	SHOWS(fds[0], IN | OUT);
	GIVES(weft_select(INT_MAX, &r, &w, &e, NULL), 2);
	CU_ASSERT(WEFT_FD_ISSET(fds[0], &r) && r.count == 1);
	CU_ASSERT(WEFT_FD_ISSET(fds[0], &w) && w.count == 1 && e.count == 0);
	/* What is not below nfds is not looked at. */
	WEFT_FD_ZERO(&r);
	WEFT_FD_SET(fds[1], &r);
	tv = (struct timeval){0};
	GIVES(weft_select(fds[1], &r, NULL, NULL, &tv), 0);
	CU_ASSERT(WEFT_FD_ISSET(fds[1], &r));
	tv = (struct timeval){.tv_usec = 20000};
	weft_time_us begin = clock_monotonic_us();

	GIVES(weft_select(fds[1] + 1, &r, NULL, NULL, &tv), 0);
	CU_ASSERT(clock_monotonic_us() - begin >= 20000);
	CU_ASSERT(r.count == 0 && tv.tv_sec == 0 && tv.tv_usec == 0);
	close_both(fds);
	/* An error leaves the sets as they are. */
	WEFT_FD_SET(fds[1], &r);
	REFUSED(weft_select(INT_MAX, &r, NULL, NULL, NULL), EBADF);
	CU_ASSERT(WEFT_FD_ISSET(fds[1], &r));
	kit_close(&kit);
}

/* Sets of nothing sleep; a month is not too long to ask for; a set has an end. */
static void test_select_limits(void)
{
	static weft_fd_set set;
	struct timeval tv = {.tv_usec = 10000};
	struct timespec ts = {.tv_sec = 31 * 86400};
	struct kit kit;
	weft_time_us begin = clock_monotonic_us();

	GIVES(weft_select(0, NULL, NULL, NULL, &tv), 0);
	CU_ASSERT(clock_monotonic_us() - begin >= 10000);
	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);

	WEFT_FD_SET(fd, &set);
	GIVES(weft_pselect(INT_MAX, NULL, &set, NULL, &ts, NULL), 1);
	for (int i = 1; i < WEFT_FD_SETSIZE; i++)
		CU_ASSERT(weft_fd_add(-i, &set));
	CU_ASSERT(!weft_fd_add(1, &set) && !WEFT_FD_ISSET(1, &set));
	CU_ASSERT(weft_fd_add(fd, &set));
	WEFT_FD_CLR(-5, &set);
	CU_ASSERT(set.count == WEFT_FD_SETSIZE - 1 && !WEFT_FD_ISSET(-5, &set));
	ts.tv_nsec = -1;
	REFUSED(weft_pselect(0, NULL, NULL, NULL, &ts, NULL), EINVAL);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

/* Of an ended connection every call returns at once: all but exceptions are ready. */
static void test_select_ended(void)
{
	static weft_fd_set r, w, e;
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_reset(fds[1]);
	SHOWS(fds[0], ENDED | POLLERR);
	WEFT_FD_SET(fds[0], &r);
	WEFT_FD_SET(fds[0], &w);
	WEFT_FD_SET(fds[0], &e);
	GIVES(weft_select(INT_MAX, &r, &w, &e, NULL), 2);
	CU_ASSERT(r.count == 1 && w.count == 1 && e.count == 0);
	GIVES(weft_close(fds[0]), 0);
	kit_close(&kit);
}

UNIT_MAIN("poll", UNIT(unconnected), UNIT(listener), UNIT(refused), UNIT(connecting),
	  UNIT(connected), UNIT(shut), UNIT(reset), UNIT(lowat), UNIT(full), UNIT(arguments),
	  UNIT(many), UNIT(timeout), UNIT(wakes), UNIT(two_stacks), UNIT(select),
	  UNIT(select_limits), UNIT(select_ended))
