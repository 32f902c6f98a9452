/*
 * Two stacks joined by a cable in memory, and helpers to use their sockets from test threads.
 * a is 10.0.0.1 and fd00::1, b is 10.0.0.2 and fd00::2.  WEFT_TEST_QUEUES=N makes it N cables, between
 * which flows move at random (moving.h).
 */
#ifndef WEFT_TESTS_RIG_H
#define WEFT_TESTS_RIG_H

#include "moving.h"
#include "net/base/check.h"
#include "net/base/prng.h"
#include "net/base/sync.h"
#include "net/ip/icmp_policy.h"
#include "net/ip/pmtu.h"
#include "net/stack/sock.h"
#include "net/stack/stack.h"
#include "unit.h"
#include <errno.h>
#include <string.h>
#include <weft/dev.h>

struct rig {
	struct stack *a;
	struct stack *b;
};

/* What a test may change before rig_open. */
struct rig_config {
	struct stack_config stack; /* addresses and device are set by rig_open */
	uint32_t mtu;
	uint32_t flags; /* enum weft_dev_flags */
	const struct weft_fault *fault;
};

static int64_t rig_clock_now(void *ctx)
{
	(void)ctx;
	return clock_monotonic_us();
}

static inline struct rig_config rig_config_default(void)
{
	struct rig_config c = {
		.stack =
			{
				.clock = {.now = rig_clock_now},
				.seed = 1,
				.conns_max = 10000,
				.syn_backlog_max = 1024,
				.time_wait_max = 1000,
				.orphans_max = 1000,
				.reply_queue_max = 256,
				.buf_bytes_max = 256u << 20,
				.rcvbuf = 256u << 10,
				.sndbuf = 256u << 10,
				.buf_max = 4u << 20,
				.port_min = 32768,
				.port_max = 60999,
				.icmp_rate = ICMP_RATE_PER_S,
				.pmtu_age_s = PMTU_AGE_S,
			},
		.mtu = 1500,
	};

	tcp_cfg_default(&c.stack.tcp);
	c.stack.tcp.cc = &tcp_cc_newreno;
	return c;
}

static inline struct addr rig_addr(const char *text)
{
	struct addr a;

	WEFT_ASSERT(addr_parse(text, &a));
	return a;
}

static inline struct sock_addr rig_at(const char *text, uint16_t port)
{
	return (struct sock_addr){.addr = rig_addr(text), .port = port};
}

static inline struct stack *rig_stack(const struct rig_config *config, struct weft_dev *dev,
				      const char *v4, const char *v6)
{
	struct stack_config cfg = config->stack;
	struct stack *stack = NULL;

	cfg.dev = dev;
	cfg.addrs[0] = (struct stack_addr){.addr = rig_addr(v4), .prefix = 120};
	cfg.addrs[1] = (struct stack_addr){.addr = rig_addr(v6), .prefix = 64};
	cfg.addr_count = 2;
	int rc = stack_new(&stack, &cfg);

	WEFT_ASSERT(rc == 0);
	return stack;
}

static inline void rig_open(struct rig *rig, const struct rig_config *config)
{
	struct weft_dev *ends[2];
	int rc = config->fault ? weft_dev_pair(ends, config->mtu, config->flags, 1024)
			       : moving_or_pair(ends, config->mtu, config->flags);

	WEFT_ASSERT(rc == 0);
	if (config->fault) {
		ends[0] = weft_dev_fault(ends[0], config->fault, config->fault);
		WEFT_ASSERT(ends[0]);
	}
	rig->a = rig_stack(config, ends[0], "10.0.0.1", "fd00::1");
	rig->b = rig_stack(config, ends[1], "10.0.0.2", "fd00::2");
}

static inline void rig_close(struct rig *rig)
{
	if (rig->a)
		stack_free(rig->a);
	if (rig->b)
		stack_free(rig->b);
}

static inline int64_t rig_opt(struct sock *s, enum sock_opt opt)
{
	int64_t value = -1;

	CU_ASSERT_EQUAL(sock_getopt(s, opt, &value), 0);
	return value;
}

/* A listening socket. */
static inline struct sock *rig_listen(struct stack *stack, const char *addr, uint16_t port,
				      int backlog)
{
	struct sock_addr at = rig_at(addr, port);
	struct sock *s;

	WEFT_ASSERT(sock_new(stack, !addr_is_v4(&at.addr), &s) == 0);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_REUSEADDR, 1), 0);
	CU_ASSERT_EQUAL_FATAL(sock_bind(s, &at), 0);
	CU_ASSERT_EQUAL(sock_listen(s, backlog), 0);
	return s;
}

/* A connected socket, or NULL with the error in '*rc'. */
static inline struct sock *rig_connect(struct stack *stack, const char *addr, uint16_t port,
				       int *rc)
{
	struct sock_addr at = rig_at(addr, port);
	struct sock *s;

	WEFT_ASSERT(sock_new(stack, !addr_is_v4(&at.addr), &s) == 0);
	*rc = sock_connect(s, &at, false);
	if (*rc == 0)
		return s;
	sock_close(s);
	sock_put(&s);
	return NULL;
}

static inline void rig_drop(struct sock **s)
{
	if (!*s)
		return;
	sock_close(*s);
	sock_put(s);
}

/* A connected pair: '*client' on a, '*server' on b. */
static inline void rig_pair(struct rig *rig, struct sock **client, struct sock **server)
{
	struct sock *l = rig_listen(rig->b, "10.0.0.2", 7, 16);
	int rc;

	*client = rig_connect(rig->a, "10.0.0.2", 7, &rc);
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_EQUAL(sock_accept(l, false, server), 0);
	rig_drop(&l);
}

static inline ssize_t rig_send(struct sock *s, const void *data, size_t size)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

	return sock_send(s, &iov, 1, 0);
}

static inline ssize_t rig_recv(struct sock *s, void *data, size_t size, int flags)
{
	struct iovec iov = {.iov_base = data, .iov_len = size};

	return sock_recv(s, &iov, 1, flags);
}

/* Polls 'is_true' for up to 'ms'; the result of the last look. */
static inline bool rig_until(bool (*is_true)(void *), void *arg, int ms)
{
	weft_time_us deadline = clock_monotonic_us() + (weft_time_us)ms * US_PER_MS;
	struct mutex mu;
	struct cond cond;

	mutex_init(&mu);
	cond_init(&cond);
	bool is_so = is_true(arg);

	while (!is_so && clock_monotonic_us() < deadline) {
		mutex_lock(&mu);
		cond_wait_until(&cond, &mu, clock_monotonic_us() + US_PER_MS);
		mutex_unlock(&mu);
		is_so = is_true(arg); /* asked once: it may be so for a moment only */
	}
	cond_fini(&cond);
	mutex_fini(&mu);
	return is_so;
}

static inline bool rig_never(void *arg)
{
	(void)arg;
	return false;
}

/* Lets other threads get to where they block: not a synchronisation, only makes it likely. */
static inline void rig_settle(int ms)
{
	rig_until(rig_never, NULL, ms);
}

/* The statistics now; good until the thread's next call. */
static inline const struct weft_stats *rig_stats(struct stack *stack)
{
	static _Thread_local struct weft_stats stats;

	stack_stats(stack, &stats);
	return &stats;
}

#endif
