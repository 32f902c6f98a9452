/*
 * A stack: the device's queues with an RX thread and an emitter each, the loop device with its RX
 * thread, the connection table and all limits.  This is the face that api/ sees; how it works inside is in docs/ARCHITECTURE.md.
 */
#ifndef WEFT_STACK_STACK_H
#define WEFT_STACK_STACK_H

#include "net/base/addr.h"
#include "net/base/time.h"
#include "net/tcp/tcb.h"
#include <weft/weft.h>

struct stack;

/* An address of the stack with its prefix. */
struct stack_addr {
	struct addr addr;
	unsigned prefix; /* bits of the 16-byte form: an IPv4 /24 is 120 */
};

struct stack_config {
	struct weft_dev *dev; /* owned by the stack from stack_new's success on */
	struct stack_addr addrs[4];
	unsigned addr_count;
	struct weft_clock clock; /* 'wait' NULL: CLOCK_MONOTONIC's */
	struct tcp_cfg tcp;      /* counters, pool and the buffers' bounds are set by the stack */
	uint64_t seed;
	bool plain_threads;   /* only the TX thread sends */
	bool lead;            /* threads that wait may read packets; the clock is CLOCK_MONOTONIC */
	uint32_t futex_slots; /* for the process */
	uint32_t conns_max;
	uint32_t syn_backlog_max;
	enum weft_syn_cookies syn_cookies;
	unsigned fastopen; /* enum weft_fastopen, bits */
	uint32_t time_wait_max;
	bool no_time_wait_reuse;
	bool no_soft_errors; /* SO_ERROR does not tell them */
	uint32_t orphans_max;
	uint32_t reply_queue_max;
	uint64_t buf_bytes_max;
	uint32_t rcvbuf;
	uint32_t sndbuf;
	uint32_t buf_max;
	unsigned cc; /* congestion controller of new sockets, for tcp_cc_get */
	uint16_t port_min;
	uint16_t port_max;
	uint32_t icmp_rate; /* ICMP errors a second; 0: none */
	uint32_t pmtu_age_s;
};

/* Starts the threads.  0 or -errno. */
int stack_new(struct stack **made, const struct stack_config *config);

/*
 * Stops in good order: no new calls may begin on the stack's sockets (the caller made their handles
 * invalid); blocked ones wake with -ESHUTDOWN and are waited for; connections are reset; threads
 * end; everything is reclaimed (rcu_barrier); the device is closed; the memory is freed.
 */
void stack_free(struct stack *stack);

void stack_stats(struct stack *stack, struct weft_stats *stats);
const char *stack_dev_name(const struct stack *stack);
/*
 * Queues in turn: a few connections are spread as well as many.  A device that follows what is
 * written brings the flow there.
 */
unsigned stack_choose_queue(struct stack *stack);

weft_time_us stack_now(const struct stack *stack);
const struct stack_config *stack_get_config(const struct stack *stack);

#endif
