/*
 * idle_pair.c - the peer is a second stack in the same process, behind a cable in memory.  Several
 * threads connect, and one more exchanges a byte on the first connection all the while: what it
 * waits longest is the worst pause that the growing tables make.
 */
#include "idle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define SERVER_ADDR "10.88.0.1"
#define CLIENT_ADDR "10.88.0.2"

enum { MTU = 1500, QUEUE_MAX = 65536, PROBE_PAUSE_US = 1000, LISTENER_MAX = 50000 };

static struct weft_stack *client_stack;
static int *client_fds; /* by connection */
static atomic_bool is_connected;

static struct weft_stack *open_stack(struct idle *idle, struct weft_dev *dev, const char *addr)
{
	struct weft_config config = idle_config(idle);
	char why[200] = "";

	config.dev = dev;
	config.addr = addr;
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));

	if (!stack)
		(void)idle_fail(idle, why, 0);
	return stack;
}

static int pair_open(struct idle *idle)
{
	struct weft_dev *ends[2];
	size_t size = idle->conns * sizeof(*client_fds);
	int rc = weft_dev_pair(ends, MTU, 0, QUEUE_MAX);

	if (rc < 0)
		return idle_fail(idle, "pair device", -rc);
	idle->server = open_stack(idle, ends[0], SERVER_ADDR "/24");
	client_stack = open_stack(idle, ends[1], CLIENT_ADDR "/24");
	client_fds = malloc(size);
	if (!idle->server || !client_stack || !client_fds)
		return -1;
	memset(client_fds, 0xff, size);
	return idle_listen(idle, SERVER_ADDR);
}

static int connect_one(struct idle *idle, uint32_t index, struct hist *times)
{
	const struct timeval limit = {.tv_sec = IDLE_TIMEOUT_S};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(idle_port(idle, index))};

	(void)inet_pton(AF_INET, SERVER_ADDR, &to.sin_addr);
	int64_t start = clock_ns();
	int fd = weft_socket(client_stack, AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return idle_fail(idle, "socket", errno);
	client_fds[index] = fd;
	if (weft_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    weft_connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return idle_fail(idle, "connect", errno);
	hist_add(times, clock_ns() - start, index);
	return 0;
}

static void *connect_main(void *arg)
{
	struct idle_part *part = arg;
	struct idle *idle = part->idle;

	/* The first connection is there already. */
	for (uint32_t i = part->first + 1; i < idle->conns; i += part->step)
		if (atomic_load(&idle->failures) > 0 || connect_one(idle, i, &part->times) < 0)
			break;
	return NULL;
}

/* Which accepted socket belongs to the connection. */
static int note_one(struct idle *idle, uint32_t index)
{
	struct sockaddr_in own;
	socklen_t len = sizeof(own);

	if (weft_getsockname(client_fds[index], (struct sockaddr *)&own, &len) < 0)
		return idle_fail(idle, "getsockname", errno);
	return idle_note(idle, index, ntohs(own.sin_port));
}

/* Round trips of the first connection; a pause in between, so that it does not slow the others. */
static void *probe_main(void *arg)
{
	struct idle *idle = arg;
	const uint32_t index = 0;

	for (uint64_t round = 1; !atomic_load(&is_connected); round++) {
		int64_t start = clock_ns();

		if (idle_pair.exchange(idle, &index, 1, round << 32) < 0)
			break;
		hist_add(&idle->probe, clock_ns() - start, atomic_load(&idle->accepted));
		pause_us(PROBE_PAUSE_US);
	}
	return NULL;
}

static int pair_connect(struct idle *idle)
{
	pthread_t probe;

	if (connect_one(idle, 0, &idle->setup) < 0 || note_one(idle, 0) < 0)
		return -1;
	int error = pthread_create(&probe, NULL, probe_main, idle);

	if (error != 0)
		return idle_fail(idle, "thread", error);
	int rc = idle_parallel(idle, connect_main, &idle->setup);

	atomic_store(&is_connected, true);
	(void)pthread_join(probe, NULL);
	for (uint32_t i = 0; i < idle->conns && rc == 0; i++)
		rc = note_one(idle, i);
	return rc;
}

static int pair_exchange(struct idle *idle, const uint32_t *indexes, uint32_t count, uint64_t round)
{
	uint8_t message[IDLE_MESSAGE];
	uint8_t answer[IDLE_MESSAGE];

	for (uint32_t i = 0; i < count; i++) {
		idle_message(idle->seed, indexes[i], round, message);
		if (weft_send(client_fds[indexes[i]], message, sizeof(message), 0) != IDLE_MESSAGE)
			return idle_fail(idle, "send", errno);
	}
	if (idle_echo(idle, indexes, count) < 0)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		if (weft_recv(client_fds[indexes[i]], answer, sizeof(answer), MSG_WAITALL) !=
		    IDLE_MESSAGE)
			return idle_fail(idle, "receive", errno);
		idle_message(idle->seed, indexes[i], round, message);
		if (memcmp(message, answer, sizeof(message)) != 0)
			return idle_fail(idle, "echoed bytes are wrong", 0);
	}
	return 0;
}

static uint64_t pair_packets(const struct idle *idle)
{
	return idle_counter(idle->server, "PKT_OUT") + idle_counter(client_stack, "PKT_OUT");
}

static void *close_main(void *arg)
{
	struct idle_part *part = arg;
	struct idle *idle = part->idle;

	for (uint32_t i = part->first; i < idle->conns; i += part->step) {
		int64_t start = clock_ns();

		if (weft_close(client_fds[i]) < 0 || weft_close(idle->server_fds[i]) < 0)
			(void)idle_fail(idle, "close", errno);
		hist_add(&part->times, clock_ns() - start, i);
	}
	return NULL;
}

static int pair_close(struct idle *idle)
{
	return idle_parallel(idle, close_main, &idle->closing);
}

static bool pair_is_empty(const struct idle *idle, bool say)
{
	bool is_empty = idle_stack_is_empty(idle->server, "server", say);

	return idle_stack_is_empty(client_stack, "client", say) && is_empty;
}

static bool pair_is_settled(const struct idle *idle)
{
	return idle_stack_is_settled(idle->server, idle->conns + idle->listeners) &&
	       idle_stack_is_settled(client_stack, idle->conns);
}

static void pair_end(struct idle *idle)
{
	weft_stack_close(client_stack);
	weft_stack_close(idle->server);
	free(client_fds);
}

const struct idle_peer idle_pair = {
	.name = "pair",
	.ends = 2,
	.listener_max = LISTENER_MAX,
	.open = pair_open,
	.connect = pair_connect,
	.exchange = pair_exchange,
	.packets = pair_packets,
	.close = pair_close,
	.is_empty = pair_is_empty,
	.is_settled = pair_is_settled,
	.end = pair_end,
};
