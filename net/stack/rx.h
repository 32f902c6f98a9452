/*
 * RX threads: one for each device.  Read packets, decode them and hand them to connections,
 * listeners, or ICMP.
 */
#ifndef WEFT_STACK_RX_H
#define WEFT_STACK_RX_H

#include "net/base/check.h"
#include <stdbool.h>
#include <weft/dev.h>

struct rx;
struct stack;

/* A thread's state, before it runs; 'is_loop': for the loop device.  NULL when out of memory. */
struct rx *rx_new(struct stack *stack, struct weft_dev *dev, bool is_loop);

/* Gives its buffers back (NULL: nothing). */
void rx_free(struct rx *rx);

int rx_start(struct rx *rx) WARN_UNUSED;

/* Ends the thread and waits for that. */
void rx_stop(struct rx *rx);

#endif
