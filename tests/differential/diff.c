/*
 * diff - runs topics in a bed and prints a line for each check.
 *
 * usage: diff BED [TOPIC...]; BED: kernel, pair, tun (weft serves, the kernel is the client),
 * tun-back (the other way round).  As root it moves to a network namespace of its own, where nobody
 * has used a port before; tun beds need that.
 */
#include "diff.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	WEFT_HANDLE_MIN = 1 << 21,
	DEADLINE_S = 120,
	PORTS_FIRST = 20000,
	PORTS_MAX = 100,
	RUNS_MAX = 100
};

static struct weft_stack *stacks[SIDES]; /* NULL: the kernel */
static const char *addrs4[SIDES];
static const char *addrs6[SIDES];
static const char *topic_now = "";
static const char *prefix_now;
static uint16_t next_port;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* ---- Lines. ---- */

static void print_name(const char *name)
{
	if (prefix_now)
		printf("%s.%s.%s: ", topic_now, prefix_now, name);
	else
		printf("%s.%s: ", topic_now, name);
}

static const char *result_name(long rc, char buf[24])
{
	if (rc == -1)
		return strerrorname_np(errno) ? strerrorname_np(errno) : "?";
	(void)snprintf(buf, 24, "%ld", rc);
	return buf;
}

void say_prefix(const char *prefix)
{
	prefix_now = prefix;
}

void say(const char *name, long rc)
{
	char buf[24];
	const char *text = result_name(rc, buf);

	print_name(name);
	printf("%s\n", text);
}

void say_value(const char *name, long value)
{
	print_name(name);
	printf("%ld\n", value);
}

void say_text(const char *name, const char *text)
{
	print_name(name);
	printf("%s\n", text);
}

void say_with(const char *name, long rc, long value)
{
	char buf[24];
	const char *text = result_name(rc, buf);

	print_name(name);
	if (rc == -1)
		printf("%s\n", text);
	else
		printf("%s %ld\n", text, value);
}

/* ---- Calls. ---- */

bool is_weft(int fd)
{
	return fd >= WEFT_HANDLE_MIN;
}

int x_socket(enum side side, int domain, int type, int protocol)
{
	return stacks[side] ? weft_socket(stacks[side], domain, type, protocol)
			    : socket(domain, type, protocol);
}

int x_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return is_weft(fd) ? weft_bind(fd, addr, len) : bind(fd, addr, len);
}

int x_listen(int fd, int backlog)
{
	return is_weft(fd) ? weft_listen(fd, backlog) : listen(fd, backlog);
}

int x_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return is_weft(fd) ? weft_accept(fd, addr, len) : accept(fd, addr, len);
}

int x_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return is_weft(fd) ? weft_accept4(fd, addr, len, flags) : accept4(fd, addr, len, flags);
}

int x_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return is_weft(fd) ? weft_connect(fd, addr, len) : connect(fd, addr, len);
}

ssize_t x_recv(int fd, void *buf, size_t size, int flags)
{
	return is_weft(fd) ? weft_recv(fd, buf, size, flags) : recv(fd, buf, size, flags);
}

ssize_t x_recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *addr, socklen_t *len)
{
	return is_weft(fd) ? weft_recvfrom(fd, buf, size, flags, addr, len)
			   : recvfrom(fd, buf, size, flags, addr, len);
}

ssize_t x_read(int fd, void *buf, size_t size)
{
	return is_weft(fd) ? weft_read(fd, buf, size) : read(fd, buf, size);
}

ssize_t x_readv(int fd, const struct iovec *iov, int count)
{
	return is_weft(fd) ? weft_readv(fd, iov, count) : readv(fd, iov, count);
}

ssize_t x_send(int fd, const void *buf, size_t size, int flags)
{
	return is_weft(fd) ? weft_send(fd, buf, size, flags) : send(fd, buf, size, flags);
}

ssize_t x_sendto(int fd, const void *buf, size_t size, int flags, const struct sockaddr *addr,
		 socklen_t len)
{
	return is_weft(fd) ? weft_sendto(fd, buf, size, flags, addr, len)
			   : sendto(fd, buf, size, flags, addr, len);
}

ssize_t x_sendmsg(int fd, const struct msghdr *hdr, int flags)
{
	return is_weft(fd) ? weft_sendmsg(fd, hdr, flags) : sendmsg(fd, hdr, flags);
}

ssize_t x_recvmsg(int fd, struct msghdr *hdr, int flags)
{
	return is_weft(fd) ? weft_recvmsg(fd, hdr, flags) : recvmsg(fd, hdr, flags);
}

ssize_t x_write(int fd, const void *buf, size_t size)
{
	return is_weft(fd) ? weft_write(fd, buf, size) : write(fd, buf, size);
}

ssize_t x_writev(int fd, const struct iovec *iov, int count)
{
	return is_weft(fd) ? weft_writev(fd, iov, count) : writev(fd, iov, count);
}

int x_shutdown(int fd, int how)
{
	return is_weft(fd) ? weft_shutdown(fd, how) : shutdown(fd, how);
}

int x_close(int fd)
{
	return is_weft(fd) ? weft_close(fd) : close(fd);
}

int x_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return is_weft(fd) ? weft_getsockname(fd, addr, len) : getsockname(fd, addr, len);
}

int x_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return is_weft(fd) ? weft_getpeername(fd, addr, len) : getpeername(fd, addr, len);
}

int x_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return is_weft(fd) ? weft_setsockopt(fd, level, option, value, len)
			   : setsockopt(fd, level, option, value, len);
}

int x_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	return is_weft(fd) ? weft_getsockopt(fd, level, option, value, len)
			   : getsockopt(fd, level, option, value, len);
}

int x_fcntl(int fd, int cmd, int arg)
{
	return is_weft(fd) ? weft_fcntl(fd, cmd, arg) : fcntl(fd, cmd, arg);
}

/* ---- Beds. ---- */

struct weft_stack *stack_of(enum side side)
{
	return stacks[side];
}

int closed_fd(enum side side)
{
	int fd = x_socket(side, AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || x_close(fd) < 0)
		die("closed_fd");
	return fd;
}

struct sockaddr_in addr4_of(enum side side, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, addrs4[side], &in.sin_addr) != 1)
		die("addr4_of");
	return in;
}

struct sockaddr_in6 addr6_of(enum side side, uint16_t port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET6, addrs6[side], &in6.sin6_addr) != 1)
		die("addr6_of");
	return in6;
}

struct sockaddr_in strange_addr4(uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

	in.sin_addr.s_addr = htonl(0xcb007107); /* 203.0.113.7 */
	return in;
}

uint16_t fresh_port(void)
{
	return next_port++;
}

int tcp4(enum side side)
{
	return x_socket(side, AF_INET, SOCK_STREAM, 0);
}

int connect4(int fd, struct sockaddr_in in)
{
	return x_connect(fd, (struct sockaddr *)&in, sizeof(in));
}

int so_error(int fd)
{
	int error = -1;
	socklen_t len = sizeof(error);

	(void)x_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

void set_int(int fd, int level, int option, int value)
{
	(void)x_setsockopt(fd, level, option, &value, sizeof(value));
}

int make_listener(uint16_t *port, int backlog)
{
	int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);

	*port = fresh_port();
	struct sockaddr_in in = addr4_of(SERVER, *port);
	if (fd < 0 || x_bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    x_listen(fd, backlog) < 0)
		die("make_listener");
	return fd;
}

void make_connection(int fd[SIDES])
{
	uint16_t port;
	int listener = make_listener(&port, 1);
	struct sockaddr_in in = addr4_of(SERVER, port);

	fd[CLIENT] = x_socket(CLIENT, AF_INET, SOCK_STREAM, 0);
	if (fd[CLIENT] < 0 || x_connect(fd[CLIENT], (struct sockaddr *)&in, sizeof(in)) < 0)
		die("make_connection: connect");
	fd[SERVER] = x_accept(listener, NULL, NULL);
	if (fd[SERVER] < 0 || x_close(listener) < 0)
		die("make_connection: accept");
}

void close_both(const int fd[SIDES])
{
	if (x_close(fd[CLIENT]) < 0 || x_close(fd[SERVER]) < 0)
		die("close_both");
}

void wait_readable(int fd)
{
	char byte;

	(void)x_recv(fd, &byte, 1, MSG_PEEK);
}

/* ---- Main. ---- */

static const struct {
	const char *name;
	void (*run)(void);
} topics[] = {
	{"socket", topic_socket},     {"bind", topic_bind},     {"listen", topic_listen},
	{"connect", topic_connect},   {"stream", topic_stream}, {"ending", topic_ending},
	{"options", topic_options},   {"flags", topic_flags},   {"udp", topic_udp},
	{"ready", topic_ready},       {"epoll", topic_epoll},   {"messages", topic_messages},
	{"calls", topic_calls},       {"names", topic_names},   {"errors", topic_errors},
	{"zerocopy", topic_zerocopy}, {"traps", topic_traps},   {"threads", topic_threads},
};

static struct weft_stack *open_stack(struct weft_dev *dev, const char *addr, const char *peer,
				     const char *addr6, const char *peer6)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char why[256];

	config.dev = dev;
	config.addr = addr;
	config.peer = peer;
	config.addr6 = addr6;
	config.peer6 = peer6;
	config.fastopen = WEFT_FASTOPEN_CLIENT; /* as Linux has it */
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));
	if (!stack) {
		(void)fprintf(stderr, "diff: %s\n", why);
		exit(2);
	}
	return stack;
}

static void open_pair(void)
{
	struct weft_dev *ends[2];

	if (weft_dev_pair(ends, 1500, 0, 1024) < 0)
		die("pair");
	stacks[CLIENT] = open_stack(ends[0], "192.0.2.1/24", NULL, "2001:db8::1/64", NULL);
	stacks[SERVER] = open_stack(ends[1], "192.0.2.2/24", NULL, "2001:db8::2/64", NULL);
}

/* 'weft' is the side that is weft's; the kernel has .1. */
static void open_tun(enum side weft)
{
	stacks[weft] =
		open_stack(NULL, "192.0.2.2/24", "192.0.2.1", "2001:db8::2/64", "2001:db8::1");
}

static void set(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	(void)close(fd);
}

/* Without the right to do so the ports are told apart by the process. */
static void own_namespace(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	next_port = (uint16_t)(PORTS_FIRST + getpid() % RUNS_MAX * PORTS_MAX);
	if (geteuid() != 0)
		return;
	int fd = -1;
	if (unshare(CLONE_NEWNET) < 0 || (fd = socket(AF_INET, SOCK_DGRAM, 0)) < 0 ||
	    ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		die("namespace");
	(void)close(fd);
	set("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"); /* whoever runs it may ping */
	set("/proc/sys/net/ipv4/icmp_ratelimit", "0");              /* every error is told */
}

static bool open_bed(const char *bed)
{
	bool is_back = strcmp(bed, "tun-back") == 0;

	addrs4[CLIENT] = is_back ? "192.0.2.2" : "192.0.2.1";
	addrs4[SERVER] = is_back ? "192.0.2.1" : "192.0.2.2";
	addrs6[CLIENT] = is_back ? "2001:db8::2" : "2001:db8::1";
	addrs6[SERVER] = is_back ? "2001:db8::1" : "2001:db8::2";
	if (strcmp(bed, "kernel") == 0) {
		addrs4[CLIENT] = "127.0.0.1";
		addrs4[SERVER] = "127.0.0.2";
		addrs6[CLIENT] = "::1";
		addrs6[SERVER] = "::1";
	} else if (strcmp(bed, "pair") == 0) {
		open_pair();
	} else if (strcmp(bed, "tun") == 0 || is_back) {
		open_tun(is_back ? CLIENT : SERVER);
	} else {
		return false;
	}
	return true;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 2;
}

int main(int argc, char **argv)
{
	own_namespace();
	if (argc < 2 || !open_bed(argv[1])) {
		(void)fprintf(stderr, "usage: diff kernel|pair|tun|tun-back [TOPIC...]\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(DEADLINE_S);
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		if (!is_wanted(topics[i].name, argc, argv))
			continue;
		topic_now = topics[i].name;
		prefix_now = NULL;
		topics[i].run();
		(void)fflush(stdout);
	}
	for (int side = 0; side < SIDES; side++)
		weft_stack_close(stacks[side]);
	return 0;
}
