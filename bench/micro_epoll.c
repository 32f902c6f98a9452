/*
 * micro_epoll.c - epoll sets with few and with many sockets: what a change costs, what a wait costs when
 * ten sockets are ready, and the memory of a watched socket.  One thread, through weft's own calls.
 */
#include "micro.h"

#include "net/base/check.h"
#include "net/base/prng.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft/weft.h>

enum { READY = 10, FEW = 100, MANY = 100000 };

struct watched {
	int set;
	int *fds;
	uint32_t count;
	struct prng prng;
};

/* A datagram socket can be written to from the beginning, and read from never here. */
static void add(const struct watched *w, uint32_t i)
{
	struct epoll_event event = {
		.events = i < READY ? EPOLLOUT : EPOLLIN,
		.data = {.u32 = i},
	};
	int rc = weft_epoll_ctl(w->set, EPOLL_CTL_ADD, w->fds[i], &event);

	WEFT_ASSERT(rc == 0);
}

/* One that is not ready, at random, leaves and comes back. */
static void run_change(void *ctx, uint64_t ops)
{
	struct watched *w = ctx;

	for (uint64_t done = 0; done < ops; done++) {
		uint32_t i = READY + (uint32_t)prng_below(&w->prng, w->count - READY);
		int rc = weft_epoll_ctl(w->set, EPOLL_CTL_DEL, w->fds[i], NULL);

		WEFT_ASSERT(rc == 0);
		add(w, i);
	}
}

static void run_wait(void *ctx, uint64_t ops)
{
	const struct watched *w = ctx;
	struct epoll_event events[2 * READY];

	for (uint64_t done = 0; done < ops; done++) {
		int n = weft_epoll_wait(w->set, events, 2 * READY, 0);

		WEFT_ASSERT(n == READY);
	}
}

static void measure_set(const struct micro *micro, struct weft_stack *stack, uint32_t count)
{
	struct watched w = {.set = weft_epoll_create1(stack, 0), .count = count};
	char name[64];

	prng_init(&w.prng, 1);
	w.fds = calloc(count, sizeof(*w.fds));
	WEFT_ASSERT(w.fds && w.set >= 0);
	for (uint32_t i = 0; i < count; i++) {
		w.fds[i] = weft_socket(stack, AF_INET, SOCK_DGRAM, 0);
		WEFT_ASSERT(w.fds[i] >= 0);
	}
	size_t before = mallinfo2().uordblks;

	for (uint32_t i = 0; i < count; i++)
		add(&w, i);
	(void)printf("{\"name\":\"epoll.watched.%u\",\"bytes_each\":%.0f}\n", count,
		     (double)(mallinfo2().uordblks - before) / count);
	(void)snprintf(name, sizeof(name), "epoll.del_add.%u", count);
	micro_run(micro, name, 0, run_change, &w);
	(void)snprintf(name, sizeof(name), "epoll.wait_%d_ready.%u", READY, count);
	micro_run(micro, name, 0, run_wait, &w);
	for (uint32_t i = 0; i < count; i++)
		(void)weft_close(w.fds[i]);
	(void)weft_close(w.set);
	free(w.fds);
}

void micro_epoll(const struct micro *micro)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_dev *ends[2];
	char why[256];

	if (!micro_wants(micro, "epoll"))
		return;
	int rc = weft_dev_pair(ends, 1500, 0, 16);

	WEFT_ASSERT(rc == 0);
	config.dev = ends[0];
	config.addr = "192.0.2.2/24";
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));

	WEFT_ASSERT(stack);
	measure_set(micro, stack, FEW);
	measure_set(micro, stack, micro->is_quick ? 10 * FEW : MANY);
	weft_stack_close(stack);
	ends[1]->close(ends[1]);
}
