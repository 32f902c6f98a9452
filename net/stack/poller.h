/*
 * Waiting for several sockets at a time: poll.  Application threads with references on what they name.
 */
#ifndef WEFT_STACK_POLLER_H
#define WEFT_STACK_POLLER_H

#include "net/base/time.h"
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct conn;

/* What poll waits for; whoever is waited for is told apart by nothing but the place. */
struct poller_entry {
	struct conn *conn; /* NULL: nothing; 'found' stays */
	uint32_t events;   /* POLLIN...; POLLNVAL is always asked for */
	uint32_t found;
};

/*
 * Looks at all entries, and unless one is ready sleeps until one is, or for 'timeout' at most (0: not
 * at all, WEFT_TIME_NEVER) on the clock of the first one's stack; without any, on CLOCK_MONOTONIC.
 * 'mask', unless NULL, is the thread's signal mask meanwhile, and handlers end the wait.  A cancellation
 * point when it sleeps.  How many are ready, or have 'found' something before; -ENOMEM; with a mask
 * -EINTR, or the reason why there is no eventfd.
 */
int poller_wait(struct poller_entry *entries, uint32_t count, weft_time_us timeout,
		const sigset_t *mask);

#endif
