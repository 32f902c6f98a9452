/*
 * stop: a stack is closed under load, with callers blocked in every call on it.  They end with
 * ESHUTDOWN (or EBADF, when they had not begun), weft_stack_close returns, and the other stack
 * gives everything back.
 */
#include "blocked.h"

static void serve(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = malloc(STRESS_CHUNK_MAX);
	int fd;

	(void)index;
	(void)prng;
	while (bytes && (fd = stress_accept(stress)) >= 0) {
		ssize_t size;
		while ((size = weft_recv(fd, bytes, STRESS_CHUNK_MAX, 0)) > 0)
			if (!stress_send_all(fd, bytes, (size_t)size))
				break;
		(void)weft_close(fd);
	}
	free(bytes);
}

static atomic_uint connected;

/*
 * Load until the server is gone.  The stack's pointer is not used once the main thread may close the
 * stack: all are connected then.
 */
static void ask(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = calloc(1, STRESS_CHUNK_MAX);
	int fd = stress_connect(stress);
	size_t size = 1;

	if (fd < 0)
		FAIL(stress, "client %u connect", index);
	atomic_fetch_add(&connected, 1);
	while (bytes && stress_send_all(fd, bytes, size) && stress_recv_all(fd, bytes, size))
		size = 1 + prng_below(prng, STRESS_CHUNK_MAX);
	(void)weft_close(fd);
	free(bytes);
}

static void check_blocked(struct stress *stress, struct blocked *blocked)
{
	for (int i = 0; i < BLOCKED_COUNT; i++) {
		blocked_join(&blocked[i]);
		errno = blocked[i].error;
		/* With --loopback the far end belongs to the same stack: its reset may come first. */
		bool is_reset = stress->loopback && (errno == ECONNRESET || errno == EPIPE);
		if (errno != ESHUTDOWN && errno != EBADF && !is_reset)
			FAIL(stress, "%s after stop", blocked_name((enum blocked_kind)i));
	}
}

/* Server sockets that others block on: recv, send (nobody reads), accept, connect. */
static void block_all(struct stress *stress, struct blocked *blocked)
{
	int fds[BLOCKED_COUNT];

	for (int i = BLOCKED_RECV; i <= BLOCKED_SEND; i++) {
		if (stress_connect(stress) < 0)
			FAIL(stress, "connect");
		fds[i] = weft_accept(stress->listener, NULL, NULL);
	}
	fds[BLOCKED_ACCEPT] = weft_socket(stress->server, AF_INET, SOCK_STREAM, 0);
	if (weft_listen(fds[BLOCKED_ACCEPT], 1) != 0)
		FAIL(stress, "listen");
	fds[BLOCKED_CONNECT] = weft_socket(stress->server, AF_INET, SOCK_STREAM, 0);
	for (int i = 0; i < BLOCKED_COUNT; i++)
		blocked_start(&blocked[i], stress, (enum blocked_kind)i, fds[i]);
}

static void round_of_stop(struct stress *stress, struct prng *prng)
{
	struct blocked blocked[BLOCKED_COUNT];
	struct stress_group servers;
	struct stress_group clients;

	stress_open(stress);
	atomic_store(&connected, 0);
	stress->listener = stress_listen(stress, 64);
	block_all(stress, blocked);
	stress_start(stress, &servers, stress->threads, serve);
	stress_start(stress, &clients, stress->threads, ask);
	/* Some load has gone through when the counter says so. */
	struct weft_stats stats;
	uint64_t packets = prng_below(prng, 2000);
	weft_time_us deadline = clock_monotonic_us() + US_PER_S;
	do
		weft_stack_stats(stress->server, &stats);
	while (atomic_load(&connected) < stress->threads ||
	       (stats.counters[0] < packets && clock_monotonic_us() < deadline));
	weft_stack_close(stress->server);
	check_blocked(stress, blocked);
	stress_join(&servers);
	/* With --loopback the clients' stack is the one that is gone. */
	if (!stress->loopback)
		weft_stack_close(stress->client);
	stress_join(&clients);
}

void mode_stop(struct stress *stress)
{
	struct prng prng;

	prng_init(&prng, stress->seed);
	for (unsigned round = 0; stress_more(stress, round); round++)
		round_of_stop(stress, &prng);
}
