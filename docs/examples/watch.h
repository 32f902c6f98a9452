/*
 * watch.h - callbacks for weft's handles: an epoll set of weft, and what to call for what is ready in
 * it.  To be copied.  It runs by itself (epoll-echo) or inside another loop: watch_uv.c has it in
 * libuv's, watch_event.c in libevent's, through the one descriptor of the kernel that such a set has.
 *
 * All of one set is used by one thread.
 */
#ifndef EXAMPLES_WATCH_H
#define EXAMPLES_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <weft/weft.h>

/* So many are served in a turn; then the loop looks at its other descriptors and timers. */
enum { WATCH_BATCH = 64 };

struct watch;

/* 'events' as of epoll.  May stop and free any watch, its own included. */
typedef void watch_fn(struct watch *watch, uint32_t events);

/* Part of something that belongs to the caller. */
struct watch {
	struct watch_set *set;
	int fd;
	uint32_t wanted; /* 0: not in the set */
	watch_fn *fn;
	void *data; /* the caller's */
};

struct watch_set {
	int epfd;
	int count; /* events of this turn, of which those before 'next' are served */
	int next;
	struct epoll_event events[WATCH_BATCH];
};

/* 0, or -1 with errno. */
int watch_open(struct watch_set *set, struct weft_stack *stack);
void watch_close(struct watch_set *set);

/* Fills 'watch' in; nothing is waited for yet. */
void watch_init(struct watch *watch, struct watch_set *set, int fd, watch_fn *fn, void *data);

/*
 * Waits for 'wanted' from now on: bits of epoll, level-triggered.  0 waits for nothing, not even for an
 * end or an error, which epoll would else report again and again.  0, or -1 with errno.
 */
int watch_want(struct watch *watch, uint32_t wanted);

/* Before the handle is closed: the watch is not called any more, not even for what is ready now. */
void watch_stop(struct watch *watch);

/*
 * One turn: waits up to 'timeout_ms' (-1: for ever; 0 inside another loop) and calls the watches that
 * are ready, WATCH_BATCH at most.  Level-triggered, so that what is left over is ready in the
 * next turn.  How many were ready, or -1 with errno.
 */
int watch_turn(struct watch_set *set, int timeout_ms);

#endif
