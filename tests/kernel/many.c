/*
 * many.c - a client with thousands of kernel connections open at the same time, for parallel.sh.
 *
 * One thread, epoll.  All connections are opened first, a few hundred at a time; when the last one
 * is established, each sends its messages to an echo server and compares what comes back, and none
 * is closed before all are done.  Data depend on the seed, the connection and the round, so that
 * bytes of one connection can never pass for those of another.
 *
 *	many [--port N] [--count N] [--rounds N] [--size N] [--seed N] ADDRESS...
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OPENING_MAX = 256, EVENTS = 64, CHUNK = 16384, IDLE_MS = 60000, ADDRS_MAX = 8 };

struct conn {
	int fd;
	bool is_open;
	unsigned round;
	uint64_t sent; /* bytes of all rounds */
	uint64_t got;
};

struct many {
	/* From the command line. */
	uint16_t port;
	unsigned count;
	unsigned rounds;
	unsigned size; /* bytes a round */
	uint64_t seed;
	struct sockaddr_storage addrs[ADDRS_MAX];
	unsigned addr_count;

	struct conn *conns;
	int epoll;
	unsigned started; /* connects begun, in order of 'conns' */
	unsigned opened;
	unsigned done;
	unsigned closed;
};

/* Mixes 'value' (the finaliser of splitmix64). */
static uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
	value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
	return value ^ (value >> 31);
}

/* The 'size' bytes from 'at' of the stream of connection 'index'. */
static void fill(const struct many *many, unsigned index, uint64_t at, uint8_t *data, size_t size)
{
	uint64_t key = mix(many->seed ^ ((uint64_t)index << 32));

	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(mix(key + (at + i) / 8) >> (at + i) % 8 * 8);
}

static int fail(const char *what, unsigned index, int error)
{
	(void)fprintf(stderr, "many: connection %u: %s: %s\n", index, what,
		      error == 0 ? "wrong" : strerror(error));
	return -1;
}

static int watch(const struct many *many, unsigned index, uint32_t events, int op)
{
	struct epoll_event event = {.events = events, .data.u32 = index};

	if (epoll_ctl(many->epoll, op, many->conns[index].fd, &event) < 0)
		return fail("epoll", index, errno);
	return 0;
}

/* ---- Opening. ---- */

static int start_connect(struct many *many)
{
	unsigned index = many->started++;
	struct conn *conn = &many->conns[index];
	const struct sockaddr_storage *addr = &many->addrs[index % many->addr_count];
	socklen_t len = addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						    : sizeof(struct sockaddr_in);
	int one = 1;

	conn->fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		return fail("socket", index, errno);
	(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(conn->fd, (const struct sockaddr *)addr, len) < 0 && errno != EINPROGRESS)
		return fail("connect", index, errno);
	return watch(many, index, EPOLLOUT, EPOLL_CTL_ADD);
}

/* The connect of 'index' has ended. */
static int finish_connect(struct many *many, unsigned index)
{
	struct conn *conn = &many->conns[index];
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0)
		return fail("connect", index, error);
	conn->is_open = true;
	many->opened++;
	/* Silent until all are open. */
	if (watch(many, index, 0, EPOLL_CTL_MOD) < 0)
		return -1;
	return many->started < many->count ? start_connect(many) : 0;
}

/* ---- Exchanging. ---- */

static int send_some(struct many *many, unsigned index)
{
	struct conn *conn = &many->conns[index];
	uint64_t end = (uint64_t)(conn->round + 1) * many->size;
	static uint8_t data[CHUNK];

	while (conn->sent < end) {
		size_t size = end - conn->sent < CHUNK ? (size_t)(end - conn->sent) : CHUNK;
		ssize_t n;

		fill(many, index, conn->sent, data, size);
		n = send(conn->fd, data, size, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? 0 : fail("send", index, errno);
		conn->sent += (uint64_t)n;
	}
	return watch(many, index, EPOLLIN, EPOLL_CTL_MOD);
}

/* The message has come back in full: the next one, or silence until all are done. */
static int end_round(struct many *many, unsigned index)
{
	struct conn *conn = &many->conns[index];

	if (++conn->round < many->rounds)
		return watch(many, index, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
	many->done++;
	return watch(many, index, 0, EPOLL_CTL_MOD);
}

static int receive_some(struct many *many, unsigned index)
{
	struct conn *conn = &many->conns[index];
	static uint8_t wanted[CHUNK];
	static uint8_t data[CHUNK];
	ssize_t n = recv(conn->fd, data, sizeof(data), 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : fail("recv", index, errno);
	if (n == 0)
		return fail("early end of stream", index, 0);
	fill(many, index, conn->got, wanted, (size_t)n);
	conn->got += (uint64_t)n;
	if (conn->got > conn->sent || memcmp(data, wanted, (size_t)n) != 0)
		return fail("echoed bytes", index, 0);
	if (conn->got == (uint64_t)(conn->round + 1) * many->size)
		return end_round(many, index);
	return 0;
}

/* Our side is closed: the server's end of stream must be all that comes. */
static int receive_end(struct many *many, unsigned index)
{
	char rest;
	ssize_t n = recv(many->conns[index].fd, &rest, 1, 0);

	if (n != 0)
		return fail("end of stream", index, n < 0 ? errno : 0);
	(void)close(many->conns[index].fd);
	many->closed++;
	return 0;
}

static int take_event(struct many *many, const struct epoll_event *event)
{
	unsigned index = event->data.u32;

	if (!many->conns[index].is_open)
		return finish_connect(many, index);
	if (many->done == many->count)
		return receive_end(many, index);
	if (event->events & (EPOLLERR | EPOLLHUP))
		return fail("closed by the server", index, ECONNRESET);
	if ((event->events & EPOLLIN) && receive_some(many, index) < 0)
		return -1;
	return event->events & EPOLLOUT ? send_some(many, index) : 0;
}

/* Takes events until '*value' has reached the number of connections. */
static int run_until(struct many *many, const unsigned *value)
{
	struct epoll_event events[EVENTS];

	while (*value < many->count) {
		int n = epoll_wait(many->epoll, events, EVENTS, IDLE_MS);

		if (n <= 0) {
			(void)fprintf(stderr,
				      "many: nothing for %d s; %u open, %u done, %u closed\n",
				      IDLE_MS / 1000, many->opened, many->done, many->closed);
			return -1;
		}
		for (int i = 0; i < n; i++)
			if (take_event(many, &events[i]) < 0)
				return -1;
	}
	return 0;
}

static int run(struct many *many)
{
	while (many->started < many->count && many->started < OPENING_MAX)
		if (start_connect(many) < 0)
			return -1;
	if (run_until(many, &many->opened) < 0)
		return -1;
	for (unsigned i = 0; i < many->count; i++)
		if (watch(many, i, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD) < 0)
			return -1;
	if (run_until(many, &many->done) < 0)
		return -1;
	for (unsigned i = 0; i < many->count; i++)
		if (shutdown(many->conns[i].fd, SHUT_WR) < 0)
			return fail("shutdown", i, errno);
	for (unsigned i = 0; i < many->count; i++)
		if (watch(many, i, EPOLLIN, EPOLL_CTL_MOD) < 0)
			return -1;
	return run_until(many, &many->closed);
}

/* ---- Program. ---- */

/* False: neither an IPv4 nor an IPv6 address. */
static bool add_address(struct many *many, const char *text)
{
	struct sockaddr_in addr4 = {.sin_family = AF_INET, .sin_port = htons(many->port)};
	struct sockaddr_in6 addr6 = {.sin6_family = AF_INET6, .sin6_port = htons(many->port)};
	struct sockaddr_storage *addr = &many->addrs[many->addr_count];

	if (many->addr_count == ADDRS_MAX)
		return false;
	if (inet_pton(AF_INET, text, &addr4.sin_addr) == 1)
		memcpy(addr, &addr4, sizeof(addr4));
	else if (inet_pton(AF_INET6, text, &addr6.sin6_addr) == 1)
		memcpy(addr, &addr6, sizeof(addr6));
	else
		return false;
	many->addr_count++;
	return true;
}

static bool parse_options(struct many *many, int argc, char **argv)
{
	static const struct option options[] = {
		{"port", required_argument, NULL, 'p'},   {"count", required_argument, NULL, 'c'},
		{"rounds", required_argument, NULL, 'r'}, {"size", required_argument, NULL, 's'},
		{"seed", required_argument, NULL, 'e'},   {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		unsigned long value = optarg ? strtoul(optarg, NULL, 10) : 0;

		if (option == 'p')
			many->port = (uint16_t)value;
		else if (option == 'c')
			many->count = (unsigned)value;
		else if (option == 'r')
			many->rounds = (unsigned)value;
		else if (option == 's')
			many->size = (unsigned)value;
		else if (option == 'e')
			many->seed = value;
		else
			return false;
	}
	for (; optind < argc; optind++)
		if (!add_address(many, argv[optind]))
			return false;
	return many->addr_count > 0 && many->count > 0 && many->rounds > 0 && many->size > 0;
}

/* A descriptor for each connection, and some. */
static void raise_limit(const struct many *many)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= many->count + 64)
		return;
	limit.rlim_cur = many->count + 64;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct many many = {.port = 7, .count = 100, .rounds = 1, .size = 1000, .seed = 1};
	double start = now_s();
	int rc = -1;

	if (!parse_options(&many, argc, argv)) {
		(void)fputs("usage: many [--port N] [--count N] [--rounds N] [--size N] [--seed N] "
			    "ADDRESS...\n",
			    stderr);
		return 2;
	}
	raise_limit(&many);
	many.conns = calloc(many.count, sizeof(*many.conns));
	many.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (many.conns && many.epoll >= 0)
		rc = run(&many);
	else
		perror("many");
	if (rc == 0)
		(void)printf("%u connections at the same time, %u rounds of %u bytes in %.2f s\n",
			     many.count, many.rounds, many.size, now_s() - start);
	free(many.conns);
	return rc == 0 ? 0 : 1;
}
