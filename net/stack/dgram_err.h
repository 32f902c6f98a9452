/*
 * The error queue of a datagram socket (IP_RECVERR, IPV6_RECVERR; recvmsg(2) with MSG_ERRQUEUE), as
 * Linux has it: ICMP errors about what the socket sent, and messages that were too long for the path.
 * What waits there counts towards SO_RCVBUF together with what waits to be received.
 */
#ifndef WEFT_STACK_DGRAM_ERR_H
#define WEFT_STACK_DGRAM_ERR_H

#include "net/stack/dgram.h"

/* What is told of one. */
struct dgram_err {
	int error;           /* errno, positive */
	uint8_t origin;      /* SO_EE_ORIGIN_ICMP, ... */
	uint8_t type;        /* of the ICMP message */
	uint8_t code;        /* */
	uint32_t info;       /* the MTU, or the pointer of a parameter problem */
	struct addr from;    /* who sent the ICMP message */
	struct sock_addr to; /* where the datagram was sent to */
	/* What the ICMP message quotes of the datagram's payload; of a ping socket its ICMP header, too. */
	const uint8_t *data;
	uint32_t len;
};

struct dgram_ctl_err;

/* As an entry of a queue tells it. */
void dgram_err_describe(const struct dgram_err *err, struct dgram_ctl_err *ctl);

/* Whether errors about what goes to 'remote' are queued. */
bool dgram_err_wanted(const struct dgram *d, const struct addr *remote) REQUIRES(lc_dgram);

/* Queues it; the caller wakes.  DROP_DGRAM_RCVBUF, DROP_NO_BUF. */
enum drop dgram_err_push(struct dgram *d, const struct dgram_err *err) REQUIRES(lc_dgram);

/* A message that the path does not take, as Linux tells it beside EMSGSIZE. */
void dgram_err_too_long(struct dgram *d, const struct addr *to, uint32_t mtu) EXCLUDES(lc_dgram);

/* recv with MSG_ERRQUEUE: never blocks. */
ssize_t dgram_err_recv(struct dgram *d, struct sock_msg *msg) EXCLUDES(lc_dgram);

#endif
