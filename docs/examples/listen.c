/*
 * listen.c - opens the listening sockets of the example servers.  Main thread.
 */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BACKLOG = 4096 };

/* What the connections of a listener inherit.  0, or -1 with errno. */
static int set_congestion(const struct app *app, int fd)
{
	const char *name = app->congestion;

	if (!name)
		return 0;
	return app->ops->setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
}

struct wish {
	const struct app *app;
	int (*setup)(const struct app *app, int fd);
	struct listening *listening;
};

/* Adds a listener on 'addr'; 'v6_only' matters for IPv6.  0, or -1 with errno. */
static int add_listener(const struct wish *wish, const struct sockaddr *addr, socklen_t len,
			bool v6_only)
{
	const struct app *app = wish->app;
	struct listening *to = wish->listening;
	struct sockaddr *name = (struct sockaddr *)&to->addrs[to->count];
	socklen_t name_len = sizeof(to->addrs[0]);
	int fd = app->ops->socket(addr->sa_family, SOCK_STREAM, 0);
	int error;

	if (fd < 0)
		return -1;
	/* Lets the server start again while connections of the one before are in TIME-WAIT. */
	(void)net_set_int(app->ops, fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (addr->sa_family == AF_INET6)
		(void)net_set_int(app->ops, fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only);
	if ((wish->setup && wish->setup(app, fd) < 0) || set_congestion(app, fd) < 0 ||
	    app->ops->bind(fd, addr, len) < 0 || app->ops->listen(fd, BACKLOG) < 0 ||
	    app->ops->getsockname(fd, name, &name_len) < 0) {
		error = errno;
		(void)app->ops->close(fd);
		errno = error;
		return -1;
	}
	to->fds[to->count++] = fd;
	return 0;
}

static int say_failed(const struct app *app, unsigned port)
{
	char what[40];

	(void)snprintf(what, sizeof(what), "cannot listen on port %u", port);
	app_say_error(app, what, errno);
	return -1;
}

/* Listens on the address before the slash in 'text'. */
static int listen_on(const struct wish *wish, int family, const char *text, uint16_t port)
{
	struct sockaddr_in6 addr6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in addr4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	const void *addr = family == AF_INET6 ? (const void *)&addr6 : (const void *)&addr4;
	void *bytes = family == AF_INET6 ? (void *)&addr6.sin6_addr : (void *)&addr4.sin_addr;
	char host[64];

	(void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(text, "/"), text);
	if (inet_pton(family, host, bytes) != 1) {
		app_say(wish->app, "malformed address '%s'", text);
		return -1;
	}
	if (add_listener(wish, addr, family == AF_INET6 ? sizeof(addr6) : sizeof(addr4), true) == 0)
		return 0;
	return say_failed(wish->app, port);
}

/* Kernel sockets without an address: all addresses of both families, if there are both. */
static int listen_on_any(const struct wish *wish)
{
	uint16_t port = htons(wish->app->port);
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = port};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = port};

	if (add_listener(wish, (struct sockaddr *)&any6, sizeof(any6), false) == 0)
		return 0;
	if ((errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
	    add_listener(wish, (struct sockaddr *)&any4, sizeof(any4), false) == 0)
		return 0;
	return say_failed(wish->app, wish->app->port);
}

/* Port 0: the second listener takes the port that the first one got. */
static uint16_t port_to_use(const struct wish *wish)
{
	struct sockaddr_in addr4;

	if (wish->listening->count == 0)
		return wish->app->port;
	/* The first one is IPv4 whenever there are two. */
	memcpy(&addr4, &wish->listening->addrs[0], sizeof(addr4));
	return ntohs(addr4.sin_port);
}

int listen_open(const struct app *app, int (*setup)(const struct app *app, int fd),
		struct listening *listening)
{
	const struct weft_config *config = &app->config;
	const struct wish wish = {app, setup, listening};

	listening->count = 0;
	if (!config->addr && !config->addr6)
		return listen_on_any(&wish);
	if (config->addr && listen_on(&wish, AF_INET, config->addr, port_to_use(&wish)) < 0)
		return -1;
	if (config->addr6 && listen_on(&wish, AF_INET6, config->addr6, port_to_use(&wish)) < 0)
		return -1;
	return 0;
}

void listen_say(const struct app *app, const struct listening *listening)
{
	char text[ADDR_TEXT_SIZE];

	for (int i = 0; i < listening->count; i++)
		(void)printf("%s %s", i == 0 ? "listening on" : " and",
			     net_addr_text((const struct sockaddr *)&listening->addrs[i], text));
	(void)printf(" dev %s\n", app->stack ? weft_stack_dev_name(app->stack) : "kernel");
	(void)fflush(stdout);
}
