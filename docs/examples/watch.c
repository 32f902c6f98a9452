/*
 * watch.c - callbacks for weft's handles.  One thread.
 */
#include "watch.h"

#include <stddef.h>

int watch_open(struct watch_set *set, struct weft_stack *stack)
{
	set->count = 0;
	set->next = 0;
	set->epfd = weft_epoll_create1(stack, EPOLL_CLOEXEC);
	return set->epfd < 0 ? -1 : 0;
}

void watch_close(struct watch_set *set)
{
	(void)weft_close(set->epfd);
	set->epfd = -1;
}

void watch_init(struct watch *watch, struct watch_set *set, int fd, watch_fn *fn, void *data)
{
	*watch = (struct watch){.set = set, .fd = fd, .fn = fn, .data = data};
}

int watch_want(struct watch *watch, uint32_t wanted)
{
	struct epoll_event event = {.events = wanted, .data = {.ptr = watch}};
	int op = wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

	if (wanted == watch->wanted)
		return 0;
	if (watch->wanted == 0)
		op = EPOLL_CTL_ADD;
	if (weft_epoll_ctl(watch->set->epfd, op, watch->fd, &event) < 0)
		return -1;
	watch->wanted = wanted;
	return 0;
}

void watch_stop(struct watch *watch)
{
	struct watch_set *set = watch->set;

	(void)watch_want(watch, 0);
	/* Its event may be among those that are still to be served, and the watch may be freed by then. */
	for (int i = set->next; i < set->count; i++)
		if (set->events[i].data.ptr == watch)
			set->events[i].data.ptr = NULL;
}

int watch_turn(struct watch_set *set, int timeout_ms)
{
	int count = weft_epoll_wait(set->epfd, set->events, WATCH_BATCH, timeout_ms);

	set->count = count;
	set->next = 0;
	while (set->next < set->count) {
		const struct epoll_event *event = &set->events[set->next++];
		struct watch *watch = event->data.ptr;

		/* What is not wanted any more was ready before this turn's other callbacks said so. */
		if (watch && watch->wanted != 0)
			watch->fn(watch, event->events);
	}
	set->count = 0;
	return count;
}
