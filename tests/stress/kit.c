/*
 * What the modes of the stress program share; see stress.h.
 */
#include "stress.h"

#include "moving.h"

#include <arpa/inet.h>
#include <time.h>

bool stress_more(const struct stress *stress, unsigned round)
{
	if (stress->deadline != WEFT_TIME_NEVER)
		return clock_monotonic_us() < stress->deadline;
	return round < stress->rounds;
}

static struct weft_stack *open_one(const char *addr, struct weft_dev *dev, uint64_t seed)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char why[200] = "";

	config.dev = dev;
	config.addr = addr;
	config.seed = seed;
	config.rcvbuf = 100000;
	config.sndbuf = 100000;
	config.time_wait_ms = 20;
	config.fin_wait2_ms = 2000;
	/* What is closed and has not sent its FIN by then is reset; under a checker threads are away for seconds. */
	config.orphan_ms = 20000;
	config.rto_min_ms = 20;
	config.rto_initial_ms = 100;
	config.delack_ms = 5;
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));
	if (!stack) {
		printf("open: %s\n", why);
		exit(2);
	}
	return stack;
}

void stress_open(struct stress *stress)
{
	struct weft_dev *ends[2];
	int rc = stress->queues > 1 ? moving_pair(ends, 1500, 0, stress->queues, 64, stress->seed)
				    : weft_dev_pair(ends, 1500, 0, 4096);

	if (rc != 0) {
		printf("no pair device\n");
		exit(2);
	}
	stress->server = open_one("192.0.2.1/24", ends[0], stress->seed);
	if (stress->loopback)
		ends[1]->close(ends[1]);
	stress->client = stress->loopback ? stress->server
					  : open_one("192.0.2.2/24", ends[1], stress->seed + 1);
}

static bool is_quiet(const struct weft_stats *s)
{
	return !(s->sockets | s->conns | s->syn_rcvd | s->time_wait | s->listeners | s->bufs |
		 s->buf_bytes | s->objects);
}

/* Polls until every count is zero, for half a minute. */
static void demand_quiet(struct stress *stress, struct weft_stack *stack, const char *name)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	weft_time_us deadline = clock_monotonic_us() + 30 * US_PER_S;
	struct weft_stats s;

	for (;;) {
		weft_stack_stats(stack, &s);
		if (is_quiet(&s))
			return;
		if (clock_monotonic_us() > deadline)
			break;
		(void)nanosleep(&pause, NULL);
	}
	FAIL(stress,
	     "%s keeps: sockets %llu conns %llu syn_rcvd %llu time_wait %llu listeners %llu bufs "
	     "%llu buf_bytes %llu objects %llu",
	     name, (unsigned long long)s.sockets, (unsigned long long)s.conns,
	     (unsigned long long)s.syn_rcvd, (unsigned long long)s.time_wait,
	     (unsigned long long)s.listeners, (unsigned long long)s.bufs,
	     (unsigned long long)s.buf_bytes, (unsigned long long)s.objects);
}

void stress_close(struct stress *stress)
{
	demand_quiet(stress, stress->server, "server");
	if (!stress->loopback)
		demand_quiet(stress, stress->client, "client");
	weft_stack_close(stress->server);
	if (!stress->loopback)
		weft_stack_close(stress->client);
}

struct stress_thread {
	struct stress *stress;
	stress_run run;
	unsigned index;
	pthread_t thread;
};

static void *thread_main(void *arg)
{
	struct stress_thread *t = arg;
	struct prng prng;

	prng_init(&prng, t->stress->seed * 1000003 + t->index);
	t->run(t->stress, t->index, &prng);
	return NULL;
}

void stress_start(struct stress *stress, struct stress_group *group, unsigned count, stress_run run)
{
	group->count = count;
	group->threads = calloc(count, sizeof(*group->threads));
	if (!group->threads)
		exit(2);
	for (unsigned i = 0; i < count; i++) {
		struct stress_thread *t = &group->threads[i];
		*t = (struct stress_thread){.stress = stress, .run = run, .index = i};
		if (thread_start(&t->thread, "stress", thread_main, t) != 0) {
			printf("no thread\n");
			exit(2);
		}
	}
}

void stress_join(struct stress_group *group)
{
	for (unsigned i = 0; i < group->count; i++)
		thread_join(group->threads[i].thread);
	free(group->threads);
	group->threads = NULL;
}

static struct sockaddr_in server_name(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(STRESS_PORT)};

	in.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1 */
	return in;
}

static void set_timeouts(int fd)
{
	struct timeval tv = {.tv_sec = STRESS_TIMEOUT_S};

	(void)weft_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)weft_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

int stress_listen(struct stress *stress, int backlog)
{
	struct sockaddr_in in = server_name();
	int on = 1;
	int fd = weft_socket(stress->server, AF_INET, SOCK_STREAM, 0);

	set_timeouts(fd);
	if (fd < 0 || weft_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    weft_bind(fd, (const struct sockaddr *)(void *)&in, sizeof(in)) != 0 ||
	    weft_listen(fd, backlog) != 0) {
		printf("listen: %s\n", strerrorname_np(errno));
		exit(2);
	}
	return fd;
}

int stress_accept(const struct stress *stress)
{
	int fd;

	do
		fd = weft_accept(stress->listener, NULL, NULL);
	while (fd < 0 && errno == EAGAIN);
	return fd;
}

int stress_connect(struct stress *stress)
{
	struct sockaddr_in in = server_name();
	int fd = weft_socket(stress->client, AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	set_timeouts(fd);
	if (weft_connect(fd, (const struct sockaddr *)(void *)&in, sizeof(in)) == 0)
		return fd;
	int error = errno;
	(void)weft_close(fd);
	errno = error;
	return -1;
}

bool stress_send_all(int fd, const void *bytes, size_t size)
{
	return weft_send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

bool stress_recv_all(int fd, void *bytes, size_t size)
{
	return weft_recv(fd, bytes, size, MSG_WAITALL) == (ssize_t)size;
}

void stress_fill(struct prng *prng, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t value = prng_u64(prng);
		memcpy(bytes + i, &value, size - i < sizeof(value) ? size - i : sizeof(value));
	}
}

uint64_t stress_hash(uint64_t hash, const uint8_t *bytes, size_t size)
{
	hash ^= 14695981039346656037u;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 1099511628211u;
	return hash;
}
