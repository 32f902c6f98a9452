/*
 * c-ares on weft's sockets; see call.h.
 *
 * c-ares never blocks and never looks at a file here: all that it would take from resolv.conf, nsswitch.conf
 * or the environment is set.  It keeps no more than two sockets for a server, UDP and TCP, so that
 * ares_getsock's 16 are enough for WEFT_DNS_SERVERS_MAX.
 */
#include "dns/call.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

static_assert(2 * WEFT_DNS_SERVERS_MAX <= ARES_GETSOCK_MAXNUM, "all sockets are told");

enum { CLASS_IN = 1, US_PER_MS = 1000, US_PER_S = 1000000 };

static int64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

/* ---- Sockets for c-ares. ---- */

static ares_socket_t sock_open(int domain, int type, int protocol, void *ctx)
{
	struct call *call = ctx;
	int fd = weft_socket(call->stack, domain, type | SOCK_NONBLOCK, protocol);

	if (fd < 0 && (errno == ESHUTDOWN || errno == ENETDOWN))
		call->is_shut = true;
	return fd;
}

static int sock_close(ares_socket_t fd, void *ctx)
{
	(void)ctx;
	return weft_close(fd);
}

static int sock_connect(ares_socket_t fd, const struct sockaddr *addr, ares_socklen_t len,
			void *ctx)
{
	(void)ctx;
	return weft_connect(fd, addr, len);
}

/* c-ares asks for the sender of datagrams only.  An empty one is none, not the end of a stream.  NOLINTNEXTLINE(readability-function-size) */
static ares_ssize_t sock_recv(ares_socket_t fd, void *buf, size_t size, int flags,
			      struct sockaddr *addr, ares_socklen_t *len, void *ctx)
{
	const ares_socklen_t room = len ? *len : 0;
	ssize_t n;

	(void)ctx;
	do {
		if (len)
			*len = room;
		n = weft_recvfrom(fd, buf, size, flags, addr, len);
	} while (n == 0 && addr);
	return n;
}

/*
 * Nobody at the server's port: the error of the first question may be told to who sends the second.  It goes out
 * all the same, so that its own error wakes who waits for answers and moves both on: else the first
 * would wait for its whole time.
 */
static ares_ssize_t sock_send(ares_socket_t fd, const struct iovec *iov, int count, void *ctx)
{
	ssize_t n = weft_writev(fd, iov, count);

	(void)ctx;
	if (n < 0 && errno == ECONNREFUSED)
		n = weft_writev(fd, iov, count);
	return n;
}

static const struct ares_socket_functions functions = {sock_open, sock_close, sock_connect,
						       sock_recv, sock_send};

/* ---- The channel. ---- */

static int eai_of_status(const struct call *call, int status)
{
	if (call->is_shut)
		return EAI_SYSTEM;
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
		return EAI_NODATA;
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
		return EAI_NONAME;
	case ARES_ENOMEM:
		return EAI_MEMORY;
	case ARES_ESERVFAIL:
	case ARES_EREFUSED:
	case ARES_ETIMEOUT:
	case ARES_ECONNREFUSED:
	case ARES_ECANCELLED:
		return EAI_AGAIN;
	default:
		return EAI_FAIL;
	}
}

static int set_servers(struct call *call, const struct settings *settings, unsigned first)
{
	struct ares_addr_port_node list[WEFT_DNS_SERVERS_MAX];
	const unsigned count = settings->server_count;

	for (unsigned i = 0; i < count; i++) {
		list[i] = settings->servers[(first + i) % count];
		list[i].next = i + 1 < count ? &list[i + 1] : NULL;
	}
	return ares_set_servers_ports(call->channel, list);
}

int call_open(struct call *call, struct weft_stack *stack, const struct settings *settings,
	      unsigned first)
{
	static char lookups[] = "b";
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
			 (settings->tcp_only ? ARES_FLAG_USEVC : 0),
		.timeout = (int)settings->timeout_ms,
		.tries = (int)settings->tries,
		.ndots = 1,
		.lookups = lookups,
	};

	*call = (struct call){
		.stack = stack,
		.deadline_us = now_us() + (int64_t)settings->total_ms * US_PER_MS,
	};
	int status =
		ares_init_options(&call->channel, &options,
				  ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					  ARES_OPT_NDOTS | ARES_OPT_LOOKUPS | ARES_OPT_SERVERS |
					  ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_NOROTATE);
	if (status == ARES_SUCCESS) {
		ares_set_socket_functions(call->channel, &functions, call);
		status = set_servers(call, settings, first);
		if (status != ARES_SUCCESS)
			ares_destroy(call->channel);
	}
	return eai_of_status(call, status);
}

void call_close(struct call *call)
{
	ares_destroy(call->channel);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *msg, int size)
{
	struct call_question *question = arg;

	(void)timeouts;
	question->call->pending--;
	question->rc = eai_of_status(question->call, status);
	if (question->rc == 0)
		question->rc = question->read(question->ctx, msg, size);
}

void call_ask(struct call *call, struct call_question *question, const char *name, int type)
{
	question->call = call;
	question->rc = EAI_AGAIN;
	call->pending++;
	ares_query(call->channel, name, CLASS_IN, type, on_answer, question);
}

/* ---- Waiting. ---- */

/* How long to sleep, at least one millisecond and rounded up. */
static int wait_ms(struct call *call, int64_t left_us)
{
	struct timeval max = {.tv_sec = left_us / US_PER_S, .tv_usec = left_us % US_PER_S};
	struct timeval room;
	const struct timeval *tv = ares_timeout(call->channel, &max, &room);

	return (int)(tv->tv_sec * 1000 + tv->tv_usec / US_PER_MS + 1);
}

static unsigned collect(const struct call *call, struct pollfd *fds)
{
	ares_socket_t socks[ARES_GETSOCK_MAXNUM];
	unsigned bits = (unsigned)ares_getsock(call->channel, socks, ARES_GETSOCK_MAXNUM);
	unsigned count = 0;

	for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		bool is_read = bits >> i & 1;
		bool is_write = bits >> (i + ARES_GETSOCK_MAXNUM) & 1;

		if (is_read || is_write)
			fds[count++] = (struct pollfd){
				.fd = socks[i],
				.events =
					(short)((is_read ? POLLIN : 0) | (is_write ? POLLOUT : 0)),
			};
	}
	return count;
}

static void process(struct call *call, const struct pollfd *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		int got = fds[i].revents;
		bool is_read = got & (POLLIN | POLLERR | POLLHUP);
		bool is_write = got & (POLLOUT | POLLERR | POLLHUP);

		/* Nobody else closes them. */
		call->is_shut = call->is_shut || (got & POLLNVAL);
		if (is_read || is_write)
			ares_process_fd(call->channel, is_read ? fds[i].fd : ARES_SOCKET_BAD,
					is_write && (fds[i].events & POLLOUT) ? fds[i].fd
									      : ARES_SOCKET_BAD);
	}
	/* What has waited too long. */
	ares_process_fd(call->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void call_wait(struct call *call)
{
	struct pollfd fds[ARES_GETSOCK_MAXNUM];

	while (call->pending > 0) {
		int64_t left = call->deadline_us - now_us();
		unsigned count = collect(call, fds);

		/* Gives each question its end at once. */
		if (left <= 0 || call->is_shut || weft_poll(fds, count, wait_ms(call, left)) < 0)
			ares_cancel(call->channel);
		else
			process(call, fds, count);
	}
}
