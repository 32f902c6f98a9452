/* ICMP messages of the stack's own: building, cutting to what the path takes, queueing. */
#ifndef WEFT_STACK_ICMP_OUT_H
#define WEFT_STACK_ICMP_OUT_H

#include "net/base/time.h"
#include "net/stack/locks.h"
#include "net/wire/icmp.h"

struct stack;

/*
 * Sends 'msg' from 'src' to 'dst' by the emitter of 'queue', in fragments when it is larger than the
 * path's MTU.  DROP_NO_BUF; a full reply queue is counted there.
 */
enum drop icmp_out(struct stack *stack, unsigned queue, const struct addr *src,
		   const struct addr *dst, const struct icmp_msg *msg, weft_time_us now)
	EXCLUDES(lc_txq, lc_path);

#endif
