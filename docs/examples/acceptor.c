/*
 * acceptor.c - accepting in an event loop.  The loop's thread.
 *
 * At the limit of connections, or of descriptors and memory, nobody waits for the listeners until a
 * connection ends: level-triggered they would stay ready, and the loop would spin.
 */
#include "acceptor.h"

#include <errno.h>
#include <fcntl.h>

enum { ACCEPTS = 32 }; /* in one turn of the loop */

/* A paused listener still tells its end. */
enum { PAUSED = EPOLLHUP };

/* 0, or -1 with errno. */
static int want(struct acceptor *acceptor, uint32_t wanted)
{
	for (int i = 0; i < acceptor->listening.count; i++)
		if (watch_want(&acceptor->watches[i], wanted) < 0)
			return -1;
	acceptor->is_paused = wanted == PAUSED;
	return 0;
}

static void fail(struct acceptor *acceptor, int error)
{
	app_say_error(acceptor->app, "accept", error);
	acceptor->is_failed = true;
	acceptor->over(acceptor);
}

/* What to do about an error of accept.  False: nothing more to accept for now. */
static bool go_on_after(struct acceptor *acceptor, int error)
{
	bool is_short = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;

	if (error == ECONNABORTED || error == EPROTO)
		return true;
	if (error == EAGAIN)
		return false;
	if (!is_short || acceptor->conns == 0 || want(acceptor, PAUSED) < 0)
		fail(acceptor, error);
	return false;
}

static void on_listener(struct watch *watch, uint32_t events)
{
	struct acceptor *acceptor = watch->data;

	if (events & EPOLLHUP) {
		socklen_t len = sizeof(int);
		int error = 0;

		/* Shut down by us, or the interface is gone. */
		(void)weft_getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error != 0)
			fail(acceptor, error);
		else
			acceptor->over(acceptor);
		return;
	}
	for (int i = 0; i < ACCEPTS && !acceptor->is_paused; i++) {
		int fd = weft_accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK);

		if (fd < 0 && !go_on_after(acceptor, errno))
			return;
		if (fd < 0)
			continue;
		acceptor->conns++;
		if (acceptor->conns == acceptor->conns_max)
			(void)want(acceptor, PAUSED);
		acceptor->accepted(acceptor, fd);
	}
}

int acceptor_open(struct acceptor *acceptor, struct watch_set *set)
{
	struct listening *listening = &acceptor->listening;
	int rc = listen_open(acceptor->app, NULL, listening);

	for (int i = 0; i < listening->count; i++)
		watch_init(&acceptor->watches[i], set, listening->fds[i], on_listener, acceptor);
	for (int i = 0; i < listening->count && rc == 0; i++)
		rc = weft_fcntl(listening->fds[i], F_SETFL, O_NONBLOCK);
	if (rc == 0 && want(acceptor, EPOLLIN) == 0) {
		listen_say(acceptor->app, listening);
		return 0;
	}
	if (rc == 0)
		app_say_error(acceptor->app, "listen", errno);
	acceptor_close(acceptor);
	return -1;
}

void acceptor_release(struct acceptor *acceptor)
{
	acceptor->conns--;
	if (acceptor->is_paused && want(acceptor, EPOLLIN) < 0)
		fail(acceptor, errno);
}

void acceptor_shut(struct acceptor *acceptor)
{
	for (int i = 0; i < acceptor->listening.count; i++)
		(void)weft_shutdown(acceptor->listening.fds[i], SHUT_RD);
}

void acceptor_close(struct acceptor *acceptor)
{
	for (int i = 0; i < acceptor->listening.count; i++) {
		watch_stop(&acceptor->watches[i]);
		(void)weft_close(acceptor->listening.fds[i]);
	}
	acceptor->listening.count = 0;
}
