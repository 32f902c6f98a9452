/*
 * netops.c - the two tables of socket functions (weft's and the kernel's) and small helpers on top
 * of them.  Called by all example programs, on any thread.
 */
#include "common.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static int weft_default_socket(int domain, int type, int protocol)
{
	return weft_socket(NULL, domain, type, protocol);
}

const struct net_ops net_ops_weft = {
	.close_wakes = true,
	.socket = weft_default_socket,
	.bind = weft_bind,
	.listen = weft_listen,
	.accept = weft_accept,
	.connect = weft_connect,
	.read = weft_read,
	.write = weft_write,
	.shutdown = weft_shutdown,
	.close = weft_close,
	.getsockname = weft_getsockname,
	.setsockopt = weft_setsockopt,
};

/*
 * The C library declares some of these with transparent unions or with attributes that a pointer to
 * them would lose; hence the thin functions.
 */
static int kernel_socket(int domain, int type, int protocol)
{
	return socket(domain, type | SOCK_CLOEXEC, protocol);
}

static int kernel_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return bind(fd, addr, len);
}

static int kernel_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return accept4(fd, addr, len, SOCK_CLOEXEC);
}

static int kernel_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}

static ssize_t kernel_read(int fd, void *buf, size_t size)
{
	return recv(fd, buf, size, 0);
}

static ssize_t kernel_write(int fd, const void *buf, size_t size)
{
	return send(fd, buf, size, MSG_NOSIGNAL);
}

static int kernel_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return getsockname(fd, addr, len);
}

const struct net_ops net_ops_kernel = {
	.close_wakes = false,
	.socket = kernel_socket,
	.bind = kernel_bind,
	.listen = listen,
	.accept = kernel_accept,
	.connect = kernel_connect,
	.read = kernel_read,
	.write = kernel_write,
	.shutdown = shutdown,
	.close = close,
	.getsockname = kernel_getsockname,
	.setsockopt = setsockopt,
};

ssize_t net_read_all(const struct net_ops *ops, int fd, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = ops->read(fd, (char *)buf + done, size - done);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int net_write_all(const struct net_ops *ops, int fd, const void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = ops->write(fd, (const char *)buf + done, size - done);

		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

int net_set_int(const struct net_ops *ops, int fd, int level, int option, int value)
{
	return ops->setsockopt(fd, level, option, &value, sizeof(value));
}

int net_set_timeouts(const struct net_ops *ops, int fd, unsigned seconds)
{
	struct timeval limit = {.tv_sec = (time_t)seconds};

	if (ops->setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -1;
	return ops->setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

void net_set_linger(const struct net_ops *ops, int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 3};

	/* Without it the close is only less patient. */
	(void)ops->setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

const char *net_addr_text(const struct sockaddr *addr, char *text)
{
	socklen_t len = addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						    : sizeof(struct sockaddr_in);
	char host[64];
	char port[8];

	if (getnameinfo(addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		(void)snprintf(text, ADDR_TEXT_SIZE, "?");
	else
		(void)snprintf(text, ADDR_TEXT_SIZE,
			       addr->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return text;
}

int net_live_init(struct net_live *live, const struct net_ops *ops, size_t count)
{
	live->fds = calloc(count, sizeof(*live->fds));
	if (!live->fds)
		return -1;
	for (size_t i = 0; i < count; i++)
		live->fds[i] = -1;
	live->ops = ops;
	live->count = count;
	live->stopped = false;
	(void)pthread_mutex_init(&live->mutex, NULL);
	return 0;
}

void net_live_fini(struct net_live *live)
{
	for (size_t i = 0; i < live->count; i++)
		net_live_close(live, i);
	(void)pthread_mutex_destroy(&live->mutex);
	free(live->fds);
}

/* Puts 'fd' into 'slot' unless the program is stopping. */
static bool live_add(struct net_live *live, size_t slot, int fd)
{
	bool is_added;

	(void)pthread_mutex_lock(&live->mutex);
	is_added = !live->stopped;
	if (is_added)
		live->fds[slot] = fd;
	(void)pthread_mutex_unlock(&live->mutex);
	return is_added;
}

int net_live_connect(struct net_live *live, size_t slot, const struct sockaddr *addr, socklen_t len)
{
	int fd = live->ops->socket(addr->sa_family, SOCK_STREAM, 0);
	int error;

	if (fd < 0)
		return -1;
	/* Into the slot first: a signal must be able to interrupt the connect as well. */
	if (!live_add(live, slot, fd)) {
		(void)live->ops->close(fd);
		errno = ECANCELED;
		return -1;
	}
	if (live->ops->connect(fd, addr, len) == 0)
		return fd;
	error = errno;
	net_live_close(live, slot);
	errno = net_live_is_stopped(live) ? ECANCELED : error;
	return -1;
}

void net_live_close(struct net_live *live, size_t slot)
{
	int fd;

	(void)pthread_mutex_lock(&live->mutex);
	fd = live->fds[slot];
	live->fds[slot] = -1;
	(void)pthread_mutex_unlock(&live->mutex);
	/* Outside the lock: it may linger.  EBADF after net_live_stop on weft, which is fine. */
	if (fd >= 0)
		(void)live->ops->close(fd);
}

void net_live_stop(struct net_live *live)
{
	(void)pthread_mutex_lock(&live->mutex);
	live->stopped = true;
	for (size_t i = 0; i < live->count; i++) {
		if (live->fds[i] < 0)
			continue;
		if (live->ops->close_wakes)
			(void)live->ops->close(live->fds[i]);
		else
			(void)live->ops->shutdown(live->fds[i], SHUT_RDWR);
	}
	(void)pthread_mutex_unlock(&live->mutex);
}

bool net_live_is_stopped(struct net_live *live)
{
	bool is_stopped;

	(void)pthread_mutex_lock(&live->mutex);
	is_stopped = live->stopped;
	(void)pthread_mutex_unlock(&live->mutex);
	return is_stopped;
}
