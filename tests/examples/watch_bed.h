/*
 * watch_bed.h - what the tests of the adapters share: many connections over the pair device.  The
 * servers' sockets are watched, the clients' block.
 */
#ifndef WEFT_TESTS_WATCH_BED_H
#define WEFT_TESTS_WATCH_BED_H

#include "unit.h"
#include "watch.h"

#include <string.h>

enum { CONNS = WATCH_BATCH + 36, PORT = 7, TICKS = 5 };

struct bed {
	struct weft_stack *server_stack;
	struct weft_stack *client_stack;
	int listener;
	int clients[CONNS];
	int servers[CONNS];
	struct watch watches[CONNS];
	unsigned calls[CONNS];
	uint32_t events[CONNS];
	unsigned total_calls;
	bool reads;
};

static inline struct weft_stack *open_stack(struct weft_dev *dev, const char *addr)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char why[256];

	config.dev = dev;
	config.addr = addr;
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));

	CU_ASSERT_FATAL(stack != NULL);
	return stack;
}

static inline void bed_open(struct bed *bed)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	const struct sockaddr *any = (const struct sockaddr *)&addr;
	struct weft_dev *ends[2];

	memset(bed, 0, sizeof(*bed));
	CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 1024) == 0);
	bed->server_stack = open_stack(ends[0], "192.0.2.2/24");
	bed->client_stack = open_stack(ends[1], "192.0.2.1/24");
	bed->listener = weft_socket(bed->server_stack, AF_INET, SOCK_STREAM, 0);
	CU_ASSERT_FATAL(weft_bind(bed->listener, any, sizeof(addr)) == 0);
	CU_ASSERT_FATAL(weft_listen(bed->listener, CONNS) == 0);
	addr.sin_addr.s_addr = htonl(0xc0000202);
	for (int i = 0; i < CONNS; i++) {
		bed->clients[i] = weft_socket(bed->client_stack, AF_INET, SOCK_STREAM, 0);
		CU_ASSERT_FATAL(weft_connect(bed->clients[i], any, sizeof(addr)) == 0);
		bed->servers[i] = weft_accept4(bed->listener, NULL, NULL, SOCK_NONBLOCK);
		CU_ASSERT_FATAL(bed->servers[i] >= 0);
	}
}

static inline void bed_close(struct bed *bed)
{
	weft_stack_close(bed->client_stack);
	weft_stack_close(bed->server_stack);
}

static inline void on_conn(struct watch *watch, uint32_t events)
{
	struct bed *bed = watch->data;
	long i = watch - bed->watches;
	char byte;

	bed->calls[i]++;
	bed->total_calls++;
	bed->events[i] = events;
	if (bed->reads)
		CU_ASSERT(weft_read(watch->fd, &byte, 1) == 1);
}

static inline void watch_all(struct bed *bed, struct watch_set *set, watch_fn *fn, int count)
{
	for (int i = 0; i < count; i++) {
		watch_init(&bed->watches[i], set, bed->servers[i], fn, bed);
		CU_ASSERT_FATAL(watch_want(&bed->watches[i], EPOLLIN) == 0);
	}
}

/* The bytes have come when this returns. */
static inline void send_all(struct bed *bed, int count)
{
	for (int i = 0; i < count; i++) {
		struct pollfd p = {.fd = bed->servers[i], .events = POLLIN};

		CU_ASSERT_FATAL(weft_write(bed->clients[i], "x", 1) == 1);
		CU_ASSERT_FATAL(weft_poll(&p, 1, 10000) == 1);
	}
}

#endif
