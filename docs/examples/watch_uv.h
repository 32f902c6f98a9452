/*
 * watch_uv.h - a set of watches (watch.h) in a loop of libuv, beside its timers, signals, pipes and
 * whatever else.  To be copied, with watch.c.
 */
#ifndef EXAMPLES_WATCH_UV_H
#define EXAMPLES_WATCH_UV_H

#include "watch.h"

#include <uv.h>

struct watch_uv {
	struct watch_set set;
	uv_poll_t poll; /* for readable, of the set's descriptor */
	void (*on_closed)(struct watch_uv *watch_uv);
};

/* 0, or an error of libuv; then the loop is rid of it after its next turn. */
int watch_uv_open(struct watch_uv *watch_uv, uv_loop_t *loop, struct weft_stack *stack);

/*
 * Stops all watches.  As with all handles of libuv the memory is in use until 'on_closed' is called
 * (NULL: nobody wants to know), in a later turn of the loop; the stack is closed after that.
 */
void watch_uv_close(struct watch_uv *watch_uv, void (*on_closed)(struct watch_uv *watch_uv));

#endif
