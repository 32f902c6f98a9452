/* What the tests of epoll sets share, on top of kit.h. */
#ifndef WEFT_TESTS_API_EPOLL_H
#define WEFT_TESTS_API_EPOLL_H

#include "kit.h"
#include "net/base/counters.h"

enum { FOREVER_MS = 20000 };

/* As FAILS, in a function: many in a row are no maze. */
#define REFUSED(call, error) refused((long long)(call), (error), __LINE__)

static inline void refused(long long rc, int error, int line)
{
	int found = errno;

	if (rc != -1 || found != error)
		printf("line %d: %lld, %s\n", line, rc, strerrorname_np(found));
	CU_ASSERT(rc == -1 && found == error);
}

static inline int new_set(struct weft_stack *stack)
{
	int fd = weft_epoll_create1(stack, EPOLL_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

static inline int ctl(int set, int op, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data = {.fd = fd}};

	return weft_epoll_ctl(set, op, fd, &ev);
}

static inline void add(int set, int fd, uint32_t events)
{
	GIVES(ctl(set, EPOLL_CTL_ADD, fd, events), 0);
}

/* The set has exactly one event, 'mask' of 'fd', or comes to have it; 0: none. */
#define SAYS(set, fd, mask) says(set, fd, (uint32_t)(mask), __LINE__)

static inline void says(int set, int fd, uint32_t mask, int line)
{
	struct epoll_event ev[4] = {0};
	int n = weft_epoll_wait(set, ev, 4, mask != 0 ? FOREVER_MS : 0);
	bool is_right = mask == 0 ? n == 0 : n == 1 && ev[0].events == mask && ev[0].data.fd == fd;

	if (!is_right)
		printf("line %d: %d events, the first %#x, not %#x\n", line, n, ev[0].events, mask);
	CU_ASSERT_FATAL(is_right);
}

static inline void put(int fd, const char *text)
{
	GIVES(weft_write(fd, text, strlen(text)), (long long)strlen(text));
}

static inline void take(int fd, size_t size)
{
	char bytes[64];

	GIVES(weft_read(fd, bytes, size), (long long)size);
}

/* Until so many bytes lie there to be read. */
static inline void await_bytes(int fd, size_t size)
{
	weft_time_us deadline = clock_monotonic_us() + 5 * US_PER_S;
	char bytes[64];

	while (weft_recv(fd, bytes, size, MSG_PEEK | MSG_DONTWAIT) < (ssize_t)size &&
	       clock_monotonic_us() < deadline)
		kit_pause();
	GIVES(weft_recv(fd, bytes, size, MSG_PEEK | MSG_DONTWAIT), (long long)size);
}

static inline uint64_t count_of(struct weft_stack *stack, enum counter which)
{
	static struct weft_stats stats;

	weft_stack_stats(stack, &stats);
	return stats.counters[which];
}

struct bed {
	struct kit kit;
	int set; /* of A, as fds[0] is */
	int fds[2];
};

static inline void open_bed(struct bed *bed)
{
	kit_open(&bed->kit);
	kit_join(&bed->kit, bed->fds);
	bed->set = new_set(bed->kit.a);
}

static inline void close_bed(struct bed *bed)
{
	(void)weft_close(bed->fds[0]);
	(void)weft_close(bed->fds[1]);
	(void)weft_close(bed->set);
	kit_close(&bed->kit);
}

#endif
