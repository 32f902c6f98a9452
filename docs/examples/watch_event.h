/*
 * watch_event.h - a set of watches (watch.h) in a loop of libevent, beside its timers, signals,
 * bufferevents and whatever else.  To be copied, with watch.c.
 */
#ifndef EXAMPLES_WATCH_EVENT_H
#define EXAMPLES_WATCH_EVENT_H

#include "watch.h"

#include <event2/event.h>

struct watch_event {
	struct watch_set set;
	struct event *event; /* readable, of the set's descriptor */
};

/* 0, or -1 with errno.  After -1 there is nothing to close. */
int watch_event_open(struct watch_event *watch_event, struct event_base *base,
		     struct weft_stack *stack);

/* Stops all watches.  Before the stack and the base are closed; not from a watch's callback. */
void watch_event_close(struct watch_event *watch_event);

#endif
