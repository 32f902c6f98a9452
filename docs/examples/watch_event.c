/*
 * watch_event.c - weft in libevent's loop.  All in the loop's thread.
 *
 * The set has a descriptor of the kernel that is readable while some watch of it is ready.  One
 * event waits for it, level-triggered and persistent: there is nothing to read from it and nothing to
 * arm again.  A turn serves a bounded number of watches; when more are ready the descriptor stays
 * readable, and the event is active again after the base's other ones.
 */
#include "watch_event.h"

#include <errno.h>

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch_event *watch_event = arg;

	(void)fd;
	(void)what;
	(void)watch_turn(&watch_event->set, 0);
}

int watch_event_open(struct watch_event *watch_event, struct event_base *base,
		     struct weft_stack *stack)
{
	int error;
	int fd;

	watch_event->event = NULL;
	if (watch_open(&watch_event->set, stack) < 0)
		return -1;
	fd = weft_epoll_eventfd(watch_event->set.epfd);
	if (fd >= 0)
		watch_event->event =
			event_new(base, fd, EV_READ | EV_PERSIST, on_ready, watch_event);
	if (watch_event->event && event_add(watch_event->event, NULL) == 0)
		return 0;
	error = fd < 0 ? errno : ENOMEM;
	watch_event_close(watch_event);
	errno = error;
	return -1;
}

void watch_event_close(struct watch_event *watch_event)
{
	/* The event first: the descriptor belongs to the set and goes with it. */
	if (watch_event->event)
		event_free(watch_event->event);
	watch_event->event = NULL;
	watch_close(&watch_event->set);
}
