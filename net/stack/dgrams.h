/* A stack's datagram sockets: their list, and who gets what comes.  See dgram.h. */
#ifndef WEFT_STACK_DGRAMS_H
#define WEFT_STACK_DGRAMS_H

#include "net/base/list.h"
#include "net/stack/dgram_table.h"

struct stack;

struct dgrams {
	struct dgram_table udp;
	struct dgram_table ping4;
	struct dgram_table ping6;
	struct mutex mu;
	struct cond gone;                      /* the list became empty */
	struct list list GUARDED_BY(lc_socks); /* every socket with a reference left */
	bool is_stopping GUARDED_BY(lc_socks);
};

int dgrams_init(struct stack *stack) WARN_UNUSED;
void dgrams_fini(struct stack *stack);

/* The stack stops: every socket's calls wake with -ESHUTDOWN; no new sockets. */
void dgrams_stop(struct stack *stack);

/* Every socket has a pending error 'error', which wakes its calls. */
void dgrams_fail(struct stack *stack, int error);

/* Until every call has returned and the last reference is gone. */
void dgrams_wait(struct stack *stack);

#endif
