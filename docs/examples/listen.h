/*
 * listen.h - the listening sockets of a server: one for each address that its stack has, or for all
 * addresses of the kernel.  Used by serve.c and by the servers with a loop of their own.
 */
#ifndef EXAMPLES_LISTEN_H
#define EXAMPLES_LISTEN_H

#include "common.h"

enum { LISTENERS_MAX = 2 }; /* IPv4 and IPv6 */

struct listening {
	int count;
	int fds[LISTENERS_MAX];
	struct sockaddr_storage addrs[LISTENERS_MAX];
};

/*
 * Listens on the program's port.  'setup' sets options that connections inherit; NULL: none.  0, or -1
 * after a line on stderr; what was opened until then is in '*listening' in both cases.
 */
int listen_open(const struct app *app, int (*setup)(const struct app *app, int fd),
		struct listening *listening);

/* Prints "listening on ... dev ...": from now on clients may come. */
void listen_say(const struct app *app, const struct listening *listening);

#endif
