/*
 * event-loop.c - an echo server on epoll, and one loop for weft and for the kernel: the kernel's epoll
 * waits for the eventfd of a set of weft's sockets, and for a pipe.
 *
 * Needs no interface: server and clients are two stacks of this process with a cable in memory between
 * them.  A thread opens CLIENTS connections, sends on all and reads the answers, and then says through the
 * pipe that it is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <weft/weft.h>

enum { CLIENTS = 200, PORT = 7, BATCH = 64 };

struct server {
	int listener;
	int set; /* of weft's sockets */
	unsigned accepted;
};

/* ---- The server. ---- */

static int watch(int set, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data = {.fd = fd}};

	return weft_epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev);
}

static void accept_all(struct server *server)
{
	int fd;

	while ((fd = weft_accept4(server->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		server->accepted++;
		if (watch(server->set, fd) != 0)
			weft_close(fd);
	}
}

/* What is small enough for the send buffer goes out at once; a real server would wait for EPOLLOUT. */
static void echo(int fd)
{
	char buf[2048];
	ssize_t n;

	while ((n = weft_read(fd, buf, sizeof(buf))) > 0)
		if (weft_write(fd, buf, (size_t)n) != n)
			break;
	if (n >= 0 || errno != EAGAIN)
		weft_close(fd); /* leaves the set by itself */
}

/* The eventfd is readable: takes what is ready, without waiting. */
static void serve(struct server *server)
{
	struct epoll_event events[BATCH];
	int n = weft_epoll_wait(server->set, events, BATCH, 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == server->listener)
			accept_all(server);
		else
			echo(events[i].data.fd);
	}
}

/* The kernel's loop, until the pipe says something. */
static int run_loop(struct server *server, int pipe_fd)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);
	int weft_fd = weft_epoll_eventfd(server->set);
	struct epoll_event weft_event = {.events = EPOLLIN, .data = {.fd = weft_fd}};
	struct epoll_event pipe_event = {.events = EPOLLIN, .data = {.fd = pipe_fd}};
	struct epoll_event event;

	if (loop < 0 || weft_fd < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, weft_fd, &weft_event) != 0 ||
	    epoll_ctl(loop, EPOLL_CTL_ADD, pipe_fd, &pipe_event) != 0)
		return -1;
	while (epoll_wait(loop, &event, 1, -1) == 1 && event.data.fd == weft_fd)
		serve(server);
	return close(loop);
}

static int open_server(struct server *server, struct weft_stack *stack)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	server->set = weft_epoll_create1(stack, 0);
	server->listener = weft_socket(stack, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (weft_bind(server->listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    weft_listen(server->listener, CLIENTS) != 0)
		return -1;
	return watch(server->set, server->listener);
}

/* ---- The clients, with blocking sockets. ---- */

struct clients {
	struct weft_stack *stack;
	int pipe_fd;
	unsigned answers;
};

static int ask(struct weft_stack *stack)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = weft_socket(stack, AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(0xc0000202); /* 192.0.2.2 */
	if (weft_connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    weft_write(fd, "hello", 5) != 5)
		return -1;
	return fd;
}

static void *run_clients(void *arg)
{
	struct clients *clients = arg;
	int fds[CLIENTS];
	char answer[5];

	for (int i = 0; i < CLIENTS; i++)
		fds[i] = ask(clients->stack);
	for (int i = 0; i < CLIENTS; i++) {
		if (weft_recv(fds[i], answer, sizeof(answer), MSG_WAITALL) == 5 &&
		    memcmp(answer, "hello", 5) == 0)
			clients->answers++;
		weft_close(fds[i]);
	}
	if (write(clients->pipe_fd, "", 1) != 1)
		abort();
	return NULL;
}

static struct weft_stack *open_stack(struct weft_dev *dev, const char *addr)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char why[256];

	config.dev = dev;
	config.addr = addr;
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));

	if (!stack) {
		fprintf(stderr, "event-loop: %s\n", why);
		exit(1);
	}
	return stack;
}

int main(void)
{
	struct server server = {0};
	struct clients clients = {0};
	struct weft_dev *ends[2];
	pthread_t thread;
	int pipe_fds[2];

	if (weft_dev_pair(ends, 1500, 0, 1024) != 0 || pipe(pipe_fds) != 0)
		return 1;
	struct weft_stack *stack = open_stack(ends[0], "192.0.2.2/24");

	clients.stack = open_stack(ends[1], "192.0.2.1/24");
	clients.pipe_fd = pipe_fds[1];
	if (open_server(&server, stack) != 0 ||
	    pthread_create(&thread, NULL, run_clients, &clients) != 0 ||
	    run_loop(&server, pipe_fds[0]) != 0) {
		perror("event-loop");
		return 1;
	}
	pthread_join(thread, NULL);
	weft_stack_close(clients.stack);
	weft_stack_close(stack);
	printf("%u connections, %u answers\n", server.accepted, clients.answers);
	return server.accepted == CLIENTS && clients.answers == CLIENTS ? 0 : 1;
}
