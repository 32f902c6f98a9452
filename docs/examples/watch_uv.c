/*
 * watch_uv.c - weft in libuv's loop.  All in the loop's thread.
 *
 * The set has a descriptor of the kernel that is readable while some watch of it is ready.  libuv waits
 * for that, level-triggered as it does for everything: there is nothing to read from it and nothing
 * to arm again.  A turn serves a bounded number of watches; when more are ready the descriptor
 * stays readable, and libuv comes back after its other handles.
 */
#include "watch_uv.h"

#include <errno.h>

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch_uv *watch_uv = poll->data;

	(void)events;
	if (status == 0)
		(void)watch_turn(&watch_uv->set, 0);
}

int watch_uv_open(struct watch_uv *watch_uv, uv_loop_t *loop, struct weft_stack *stack)
{
	int fd;
	int rc;

	if (watch_open(&watch_uv->set, stack) < 0)
		return uv_translate_sys_error(errno);
	fd = weft_epoll_eventfd(watch_uv->set.epfd);
	rc = fd < 0 ? uv_translate_sys_error(errno) : uv_poll_init(loop, &watch_uv->poll, fd);
	if (rc < 0) {
		watch_close(&watch_uv->set);
		return rc;
	}
	watch_uv->poll.data = watch_uv;
	rc = uv_poll_start(&watch_uv->poll, UV_READABLE, on_ready);
	if (rc < 0)
		watch_uv_close(watch_uv, NULL);
	return rc;
}

/* Now libuv has let go of the descriptor, which belongs to the set. */
static void on_poll_closed(uv_handle_t *handle)
{
	struct watch_uv *watch_uv = handle->data;

	watch_close(&watch_uv->set);
	if (watch_uv->on_closed)
		watch_uv->on_closed(watch_uv);
}

void watch_uv_close(struct watch_uv *watch_uv, void (*on_closed)(struct watch_uv *watch_uv))
{
	watch_uv->on_closed = on_closed;
	uv_close((uv_handle_t *)&watch_uv->poll, on_poll_closed);
}
