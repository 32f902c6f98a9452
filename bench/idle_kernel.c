/*
 * idle_kernel.c - the peer is the kernel: weft is a server on a TUN in a namespace of this process's
 * own, and client processes there connect to it.
 *
 *	child processes ---- kernel TCP ---- TUN 10.88.0.2 ==== weft 10.88.0.1
 */
#include "idle.h"
#include "idle_child.h"
#include "idle_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVER_ADDR "10.88.0.1"
#define CLIENT_ADDR "10.88.0.2"

enum {
	CHILDREN_MIN = 4,
	CHILDREN_MAX = 128,
	QUEUE_MAX = 20000,
	/* The kernel looks long for a port when many to the same address are taken. */
	LISTENER_MAX = 5000,
};

static struct child children[CHILDREN_MAX];
static uint32_t child_count;
static uint32_t each; /* connections of a child; the last one may have fewer */

static uint32_t share_of(const struct idle *idle, uint32_t child)
{
	uint32_t first = child * each;

	if (first >= idle->conns)
		return 0;
	return idle->conns - first < each ? idle->conns - first : each;
}

static int open_stack(struct idle *idle)
{
	struct weft_config config = idle_config(idle);
	char why[200] = "";

	config.addr = SERVER_ADDR "/24";
	config.peer = CLIENT_ADDR;
	idle->server = weft_stack_open(&config, why, sizeof(why));
	if (!idle->server)
		return idle_fail(idle, why, 0);
	net_set_queue(weft_stack_dev_name(idle->server), QUEUE_MAX);
	return 0;
}

static int kernel_open(struct idle *idle)
{
	int rc = access("/dev/net/tun", R_OK | W_OK) == 0 ? net_unshare() : -errno;

	if (rc < 0) {
		(void)fprintf(stderr, "skipped: a namespace and TUN need root: %s\n",
			      strerrordesc_np(-rc));
		exit(EXIT_SKIPPED);
	}
	net_tune();
	child_count = (idle->conns + CHILD_CONNS_MAX - 1) / CHILD_CONNS_MAX;
	if (child_count < CHILDREN_MIN)
		child_count = CHILDREN_MIN;
	if (child_count > CHILDREN_MAX)
		return idle_fail(idle, "too many connections for the children", 0);
	each = (idle->conns + child_count - 1) / child_count;
	/* Before there are threads. */
	for (uint32_t i = 0; i < child_count && rc == 0; i++)
		rc = child_start(&children[i]);
	if (rc < 0)
		return idle_fail(idle, "fork", -rc);
	return open_stack(idle) < 0 ? -1 : idle_listen(idle, SERVER_ADDR);
}

/* 0, or -1 after a line. */
static int take_answer(struct idle *idle, uint32_t child, struct hist *times, uint16_t *ports)
{
	int rc = child_answer(&children[child], times, ports, share_of(idle, child));

	return rc == 0 ? 0 : idle_fail(idle, "client process", rc > 0 ? rc : ECHILD);
}

static int kernel_connect(struct idle *idle)
{
	static uint16_t ports[CHILD_CONNS_MAX];
	struct child_target to = {.port = IDLE_PORT, .ports = (uint16_t)idle->listeners};
	int rc = 0;

	(void)inet_pton(AF_INET, SERVER_ADDR, &to.addr);
	for (uint32_t i = 0; i < child_count; i++)
		if (child_open(&children[i], &to, i * each, share_of(idle, i)) < 0)
			return idle_fail(idle, "client process", ECHILD);
	for (uint32_t i = 0; i < child_count && rc == 0; i++) {
		rc = take_answer(idle, i, &idle->setup, ports);
		for (uint32_t j = 0; j < share_of(idle, i) && rc == 0; j++)
			rc = idle_note(idle, i * each + j, ports[j]);
	}
	return rc;
}

typedef int (*give_list)(const struct child *child, const uint32_t *indexes, uint32_t count,
			 uint64_t seed);

/* Gives each child its part of the list. */
static int give_parts(struct idle *idle, give_list give, const uint32_t *indexes, uint32_t count,
		      uint64_t seed)
{
	static uint32_t part[4096];
	bool is_asked[CHILDREN_MAX] = {false};
	int rc = 0;

	for (uint32_t child = 0; child < child_count; child++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < count; i++)
			if (indexes[i] / each == child)
				part[n++] = indexes[i];
		is_asked[child] = n > 0;
		if (n > 0 && give(&children[child], part, n, seed) < 0)
			return idle_fail(idle, "client process", ECHILD);
	}
	for (uint32_t child = 0; child < child_count && rc == 0; child++)
		if (is_asked[child])
			rc = take_answer(idle, child, NULL, NULL);
	return rc;
}

static int kernel_exchange(struct idle *idle, const uint32_t *indexes, uint32_t count,
			   uint64_t round)
{
	uint64_t seed = mix(idle->seed) + round;

	if (give_parts(idle, child_send, indexes, count, seed) < 0 ||
	    idle_echo(idle, indexes, count) < 0)
		return -1;
	return give_parts(idle, child_receive, indexes, count, seed);
}

static uint64_t kernel_packets(const struct idle *idle)
{
	return idle_counter(idle->server, "PKT_IN") + idle_counter(idle->server, "PKT_OUT");
}

static void *close_main(void *arg)
{
	struct idle_part *part = arg;
	struct idle *idle = part->idle;

	for (uint32_t i = part->first; i < idle->conns; i += part->step) {
		int64_t start = clock_ns();

		if (weft_close(idle->server_fds[i]) < 0)
			(void)idle_fail(idle, "close", errno);
		hist_add(&part->times, clock_ns() - start, i);
	}
	return NULL;
}

/* The clients first: TIME-WAIT is theirs. */
static int kernel_close(struct idle *idle)
{
	int rc = 0;

	for (uint32_t i = 0; i < child_count; i++)
		if (child_close(&children[i]) < 0)
			return idle_fail(idle, "client process", ECHILD);
	for (uint32_t i = 0; i < child_count && rc == 0; i++)
		rc = take_answer(idle, i, NULL, NULL);
	return rc < 0 ? rc : idle_parallel(idle, close_main, &idle->closing);
}

static bool kernel_is_empty(const struct idle *idle, bool say)
{
	return idle_stack_is_empty(idle->server, "server", say);
}

static bool kernel_is_settled(const struct idle *idle)
{
	return idle_stack_is_settled(idle->server, idle->conns + idle->listeners);
}

static void kernel_end(struct idle *idle)
{
	for (uint32_t i = 0; i < child_count; i++)
		child_end(&children[i]);
	weft_stack_close(idle->server);
}

const struct idle_peer idle_kernel = {
	.name = "kernel",
	.ends = 1,
	.listener_max = LISTENER_MAX,
	.open = kernel_open,
	.connect = kernel_connect,
	.exchange = kernel_exchange,
	.packets = kernel_packets,
	.close = kernel_close,
	.is_empty = kernel_is_empty,
	.is_settled = kernel_is_settled,
	.end = kernel_end,
};
