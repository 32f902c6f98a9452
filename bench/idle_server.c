/*
 * idle_server.c - the listening end: listeners with a thread each that accept and note which socket
 * belongs to which port of the peer, and what both peers share besides.
 */
#include "idle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

int idle_fail(struct idle *idle, const char *what, int error)
{
	atomic_fetch_add(&idle->failures, 1);
	(void)fprintf(stderr, "idle: %s%s%s\n", what, error ? ": " : "",
		      error ? strerrordesc_np(error) : "");
	return -1;
}

void idle_message(uint64_t seed, uint32_t index, uint64_t round, uint8_t *message)
{
	uint64_t key = mix(mix(seed + round) ^ index);

	for (size_t i = 0; i < IDLE_MESSAGE / sizeof(key); i++) {
		uint64_t word = mix(key + i);

		memcpy(message + i * sizeof(word), &word, sizeof(word));
	}
}

struct weft_config idle_config(const struct idle *idle)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.seed = idle->seed;
	config.conns_max = idle->conns + 65536;
	config.time_wait_max = idle->conns + 65536;
	config.time_wait_ms = 1000;
	/* Delayed ACKs come soon, so that a round need not wait long for its last packet. */
	config.delack_ms = 5;
	config.port_min = IDLE_FIRST_PORT;
	config.port_max = 65535;
	return config;
}

uint16_t idle_port(const struct idle *idle, uint32_t index)
{
	return (uint16_t)(IDLE_PORT + index % idle->listeners);
}

static void *accept_main(void *arg)
{
	struct idle_acceptor *acceptor = arg;

	for (;;) {
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer);
		int fd = weft_accept(acceptor->fd, (struct sockaddr *)&peer, &len);

		if (fd >= 0) {
			__atomic_store_n(&acceptor->fd_by_port[ntohs(peer.sin_port)], fd,
					 __ATOMIC_RELEASE);
			atomic_fetch_add(&acceptor->idle->accepted, 1);
		} else if (errno == EBADF || errno == EINVAL || errno == ESHUTDOWN) {
			return NULL;
		} else if (errno != EAGAIN) {
			(void)idle_fail(acceptor->idle, "accept", errno);
			return NULL;
		}
	}
}

/* One listener and its thread. */
static int start_listener(struct idle *idle, struct idle_acceptor *acceptor,
			  const struct sockaddr_in *addr)
{
	const struct timeval limit = {.tv_sec = IDLE_TIMEOUT_S};
	size_t size = 65536 * sizeof(*acceptor->fd_by_port);

	acceptor->idle = idle;
	acceptor->fd_by_port = malloc(size);
	if (!acceptor->fd_by_port)
		return idle_fail(idle, "memory", ENOMEM);
	memset(acceptor->fd_by_port, 0xff, size);
	acceptor->fd = weft_socket(idle->server, AF_INET, SOCK_STREAM, 0);
	/* Accepted sockets inherit the limit: nothing hangs for ever. */
	if (acceptor->fd < 0 ||
	    weft_setsockopt(acceptor->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    weft_bind(acceptor->fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
	    weft_listen(acceptor->fd, 4096) < 0)
		return idle_fail(idle, "listen", errno);
	int error = pthread_create(&acceptor->thread, NULL, accept_main, acceptor);

	if (error != 0)
		return idle_fail(idle, "thread", error);
	idle->listeners++;
	return 0;
}

int idle_listen(struct idle *idle, const char *addr)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	uint32_t max = idle->peer->listener_max;
	uint32_t count = (idle->conns + max - 1) / max;

	(void)inet_pton(AF_INET, addr, &in.sin_addr);
	idle->acceptors = calloc(count, sizeof(*idle->acceptors));
	if (!idle->acceptors)
		return idle_fail(idle, "memory", ENOMEM);
	for (uint32_t i = 0; i < count; i++) {
		in.sin_port = htons((uint16_t)(IDLE_PORT + i));
		if (start_listener(idle, &idle->acceptors[i], &in) < 0)
			return -1;
	}
	return 0;
}

int idle_note(struct idle *idle, uint32_t index, uint16_t port)
{
	const struct idle_acceptor *acceptor = &idle->acceptors[index % idle->listeners];
	int64_t deadline = clock_ns() + (int64_t)IDLE_TIMEOUT_S * 1000000000;
	int fd;

	while ((fd = __atomic_load_n(&acceptor->fd_by_port[port], __ATOMIC_ACQUIRE)) < 0) {
		if (clock_ns() > deadline || atomic_load(&idle->failures) > 0)
			return idle_fail(idle, "a connection was not accepted", 0);
		pause_us(100);
	}
	idle->server_fds[index] = fd;
	return 0;
}

void idle_unlisten(struct idle *idle)
{
	for (uint32_t i = 0; i < idle->listeners; i++) {
		(void)weft_close(idle->acceptors[i].fd);
		(void)pthread_join(idle->acceptors[i].thread, NULL);
		free(idle->acceptors[i].fd_by_port);
	}
	free(idle->acceptors);
	idle->acceptors = NULL;
	idle->listeners = 0;
}

int idle_echo(struct idle *idle, const uint32_t *indexes, uint32_t count)
{
	uint8_t message[IDLE_MESSAGE];

	for (uint32_t i = 0; i < count; i++) {
		int fd = idle->server_fds[indexes[i]];

		if (weft_recv(fd, message, sizeof(message), MSG_WAITALL) != IDLE_MESSAGE)
			return idle_fail(idle, "receive", errno);
		if (weft_send(fd, message, sizeof(message), 0) != IDLE_MESSAGE)
			return idle_fail(idle, "send", errno);
	}
	return 0;
}

int idle_parallel(struct idle *idle, void *(*run)(void *part), struct hist *times)
{
	struct idle_part *parts = calloc(idle->threads, sizeof(*parts));
	uint32_t started = 0;
	int error = 0;

	if (!parts)
		return idle_fail(idle, "memory", ENOMEM);
	for (; started < idle->threads && error == 0; started++) {
		parts[started].idle = idle;
		parts[started].first = started;
		parts[started].step = idle->threads;
		error = pthread_create(&parts[started].thread, NULL, run, &parts[started]);
	}
	if (error != 0) {
		started--;
		(void)idle_fail(idle, "thread", error);
	}
	for (uint32_t i = 0; i < started; i++) {
		(void)pthread_join(parts[i].thread, NULL);
		hist_join(times, &parts[i].times);
	}
	free(parts);
	return atomic_load(&idle->failures) > 0 ? -1 : 0;
}

/* ---- Statistics. ---- */

bool idle_stack_is_empty(struct weft_stack *stack, const char *name, bool say)
{
	struct weft_stats s;

	weft_stack_stats(stack, &s);
	if (!(s.sockets | s.conns | s.syn_rcvd | s.time_wait | s.bufs | s.buf_bytes | s.objects))
		return true;
	if (say)
		(void)fprintf(stderr,
			      "idle: %s keeps %llu sockets, %llu connections, %llu half-open, "
			      "%llu in TIME-WAIT, %llu buffers, %llu objects\n",
			      name, (unsigned long long)s.sockets, (unsigned long long)s.conns,
			      (unsigned long long)s.syn_rcvd, (unsigned long long)s.time_wait,
			      (unsigned long long)s.bufs, (unsigned long long)s.objects);
	return false;
}

bool idle_stack_is_settled(struct weft_stack *stack, uint32_t sockets)
{
	struct weft_stats s;

	weft_stack_stats(stack, &s);
	return s.syn_rcvd == 0 && s.bufs == 0 && s.objects <= sockets;
}

uint64_t idle_counter(struct weft_stack *stack, const char *name)
{
	struct weft_stats s;

	weft_stack_stats(stack, &s);
	for (unsigned i = 0; weft_counter_name(i); i++)
		if (strcmp(weft_counter_name(i), name) == 0)
			return s.counters[i];
	return 0;
}
