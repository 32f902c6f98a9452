/* Ancillary data of datagrams: the bytes of struct cmsghdr and what they say. */
#ifndef WEFT_STACK_DGRAM_CTL_H
#define WEFT_STACK_DGRAM_CTL_H

#include "net/base/addr.h"
#include "net/base/check.h"
#include "net/stack/proto.h"
#include <linux/errqueue.h>

struct dgram_ctl {
	unsigned set; /* which are there: 1 << enum sock_ctl_kind */
	struct addr
		local; /* PKTINFO: the source, any: the socket's; or the destination that it came to */
	uint8_t ttl;
	uint8_t tos;
	uint16_t segment; /* SEGMENT, GRO: bytes of each datagram of the message; 0: it is one */
	uint32_t dropped; /* RXQ_OVFL: messages for want of room so far */
};

/* What an entry of the error queue tells. */
struct dgram_ctl_err {
	struct sock_extended_err ee;
	struct addr from; /* who sent the ICMP error; of no meaning for a local one */
};

/* Whether an entry is about an ICMP error: then an address reported it. */
static inline bool dgram_ctl_is_icmp(const struct sock_extended_err *ee)
{
	return ee->ee_origin == SO_EE_ORIGIN_ICMP || ee->ee_origin == SO_EE_ORIGIN_ICMP6;
}

/* What the program says of a message; 0, or -EINVAL as Linux. */
int dgram_ctl_read(const struct sock_msg *msg, bool is_v6, struct dgram_ctl *ctl) WARN_UNUSED;

/*
 * Fills in msg->control and sets msg->control_len; what there is no room for sets MSG_CTRUNC in
 * msg->flags_out.
 */
void dgram_ctl_write(const struct dgram_ctl *ctl, struct sock_msg *msg);

/* The same for IP_RECVERR of a socket of AF_INET, IPV6_RECVERR of one of AF_INET6. */
void dgram_ctl_write_err(const struct dgram_ctl_err *err, bool is_v6, struct sock_msg *msg);

#endif
