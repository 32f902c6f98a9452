/*
 * The device's end.  An error of its read is for good (weft/dev.h), as when a TUN interface is deleted: who
 * waits for what can only come from there would wait for ever, and a server would neither serve nor end.
 * So, when no queue is left, connections to other hosts end with ENODEV, listeners give ENODEV to accept,
 * and datagram sockets have it as a pending error, once.  What stays inside of the stack goes on.
 * Later connects to other hosts, and listens, fail with ENODEV at once.
 */
#ifndef WEFT_STACK_DEV_GONE_H
#define WEFT_STACK_DEV_GONE_H

struct stack;

/* Tells all sockets.  Once a stack, by the last queue's RX thread at its end; no lock is held. */
void dev_gone_tell(struct stack *stack);

#endif
