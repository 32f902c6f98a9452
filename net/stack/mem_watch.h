/*
 * Memory for those who only watch: a sender that may not wait and was refused for want of memory waits in
 * poll or for an epoll set.  sock_ready.c and dgram_ready.c use it, under their socket's lock.
 *
 * What gives a socket's own memory back visits it, and tells then.  What others give back comes from any
 * thread under any lock, so the emitter looks every MEM_WATCH_US while anybody watches.  The pool's gate
 * (sock_wait.c) tells at once, but it can let one in for each buffer only because that one takes the
 * memory or passes on.  Who is told by poll need do neither: told one by one the others would wait
 * for who does not come, told all together by every buffer they would come in vain, all of them.
 */
#ifndef WEFT_STACK_MEM_WATCH_H
#define WEFT_STACK_MEM_WATCH_H

#include "net/base/buf.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/stack/watch.h"

enum { MEM_WATCH_US = 50000 };

static inline bool mem_watch_has_room(const struct stack *stack)
{
	return bufpool_has_room(stack->pool, SOCK_MEM_LEAST);
}

/* Without a watcher nobody is told: the next one's look begins again. */
static inline bool mem_watch_is_on(watchers_ref *ref)
{
	struct watchers *ws = watchers_of(ref);

	return ws && atomic_load_explicit(&ws->count, memory_order_relaxed) > 0;
}

/* When the emitter looks next. */
static inline weft_time_us mem_watch_next(const struct stack *stack)
{
	return stack_now(stack) + MEM_WATCH_US;
}

#endif
