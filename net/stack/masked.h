/*
 * Sleeping with a signal mask of the call's own.  Application threads, in the calls that have one
 * (weft_ppoll, weft_pselect, weft_epoll_pwait).
 */
#ifndef WEFT_STACK_MASKED_H
#define WEFT_STACK_MASKED_H

#include "net/base/time.h"
#include <signal.h>

/*
 * Sleeps in the kernel until 'fd' is readable (-1: for nothing), for 'left' at most (WEFT_TIME_NEVER: no
 * limit), with 'mask' from the sleep's beginning to its end: 0; -EINTR when a handler ran.  A
 * cancellation point, behind which the thread has its own mask, too.
 */
int masked_sleep(int fd, weft_time_us left, const sigset_t *mask);

#endif
