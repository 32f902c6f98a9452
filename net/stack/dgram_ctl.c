/*
 * Control messages: IP_PKTINFO, IP_TTL, IP_TOS and their relatives of IPv6, SO_RXQ_OVFL, IP_RECVERR.  On the thread of the
 * call, without a lock.  A stack has one interface, whose index is told as 1.
 */
#include "net/stack/dgram_ctl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

enum { IF_INDEX = 1 };

/* ---- From the program. ---- */

static void set_local(struct dgram_ctl *ctl, enum sock_ctl_kind kind, struct addr local)
{
	ctl->set |= 1u << kind;
	ctl->local = local;
}

/* An int from 'min' to 'max'; -1, where that is allowed, leaves the socket's setting. */
static int read_int(const struct cmsghdr *c, int min, int max, struct dgram_ctl *ctl,
		    enum sock_ctl_kind kind, uint8_t *value)
{
	int number;

	if (c->cmsg_len < CMSG_LEN(sizeof(number)))
		return -EINVAL;
	memcpy(&number, CMSG_DATA(c), sizeof(number));
	if (number < min || number > max)
		return -EINVAL;
	if (number < 0)
		return 0;
	ctl->set |= 1u << kind;
	*value = (uint8_t)number;
	return 0;
}

static int read_v4(const struct cmsghdr *c, struct dgram_ctl *ctl)
{
	struct in_pktinfo info;
	uint8_t bytes[4];

	switch (c->cmsg_type) {
	case IP_PKTINFO:
		if (c->cmsg_len != CMSG_LEN(sizeof(info)))
			return -EINVAL;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		memcpy(bytes, &info.ipi_spec_dst, sizeof(bytes));
		set_local(ctl, SOCK_CTL_PKTINFO, addr_from_v4(bytes));
		return 0;
	case IP_TTL:
		return read_int(c, 1, 255, ctl, SOCK_CTL_TTL, &ctl->ttl);
	case IP_TOS:
		/* Linux takes a byte, too. */
		if (c->cmsg_len != CMSG_LEN(1))
			return read_int(c, 0, 255, ctl, SOCK_CTL_TOS, &ctl->tos);
		ctl->tos = *CMSG_DATA(c);
		ctl->set |= 1u << SOCK_CTL_TOS;
		return 0;
	default:
		return -EINVAL;
	}
}

static int read_v6(const struct cmsghdr *c, struct dgram_ctl *ctl)
{
	struct in6_pktinfo info;

	switch (c->cmsg_type) {
	case IPV6_PKTINFO:
		if (c->cmsg_len < CMSG_LEN(sizeof(info)))
			return -EINVAL;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		set_local(ctl, SOCK_CTL_PKTINFO6, addr_from_v6(info.ipi6_addr.s6_addr));
		return 0;
	case IPV6_HOPLIMIT:
		return read_int(c, -1, 255, ctl, SOCK_CTL_HOPLIMIT, &ctl->ttl);
	case IPV6_TCLASS:
		return read_int(c, -1, 255, ctl, SOCK_CTL_TCLASS, &ctl->tos);
	default:
		return -EINVAL;
	}
}

static int read_udp(const struct cmsghdr *c, struct dgram_ctl *ctl)
{
	if (c->cmsg_type != UDP_SEGMENT || c->cmsg_len != CMSG_LEN(sizeof(ctl->segment)))
		return -EINVAL;
	memcpy(&ctl->segment, CMSG_DATA(c), sizeof(ctl->segment));
	ctl->set |= 1u << SOCK_CTL_SEGMENT;
	return 0;
}

int dgram_ctl_read(const struct sock_msg *msg, bool is_v6, struct dgram_ctl *ctl)
{
	struct msghdr hdr = {.msg_control = msg->control, .msg_controllen = msg->control_len};
	int rc = 0;

	memset(ctl, 0, sizeof(*ctl));
	if (msg->control_len == 0)
		return 0;
	const uint8_t *end = (const uint8_t *)msg->control + msg->control_len;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&hdr); c && rc == 0; c = CMSG_NXTHDR(&hdr, c)) {
		if (c->cmsg_len < sizeof(*c) || c->cmsg_len > (size_t)(end - (const uint8_t *)c))
			return -EINVAL;
		if (c->cmsg_level == IPPROTO_IP)
			rc = read_v4(c, ctl);
		else if (c->cmsg_level == IPPROTO_IPV6 && is_v6)
			rc = read_v6(c, ctl);
		else if (c->cmsg_level == IPPROTO_UDP)
			rc = read_udp(c, ctl);
		else if (c->cmsg_level == SOL_SOCKET)
			rc = -EINVAL;
	}
	return rc;
}

/* ---- To the program. ---- */

/* Where the next one goes. */
struct room {
	uint8_t *at;
	size_t left;
	bool is_cut;
};

static void put(struct room *room, int level, int type, const void *data, size_t size)
{
	struct cmsghdr c = {.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
	size_t space = CMSG_SPACE(size);

	if (room->left < CMSG_LEN(size)) {
		room->is_cut = true;
		room->left = 0;
		return;
	}
	if (space > room->left)
		space = room->left;
	memset(room->at, 0, space);
	memcpy(room->at, &c, sizeof(c));
	memcpy(room->at + CMSG_LEN(0), data, size);
	room->at += space;
	room->left -= space;
}

static void put_int(struct room *room, int level, int type, int value)
{
	put(room, level, type, &value, sizeof(value));
}

static void put_pktinfo(struct room *room, const struct addr *local)
{
	struct in_pktinfo info = {.ipi_ifindex = IF_INDEX};

	memcpy(&info.ipi_addr, local->b + 12, sizeof(info.ipi_addr));
	info.ipi_spec_dst = info.ipi_addr;
	put(room, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
}

static void put_pktinfo6(struct room *room, const struct addr *local)
{
	struct in6_pktinfo info = {.ipi6_ifindex = IF_INDEX};

	memcpy(&info.ipi6_addr, local->b, sizeof(info.ipi6_addr));
	put(room, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

static bool has(const struct dgram_ctl *ctl, enum sock_ctl_kind kind)
{
	return ctl->set & 1u << kind;
}

/* How much was filled in. */
static void finish(const struct room *room, struct sock_msg *msg)
{
	msg->control_len = msg->control && msg->control_len > 0
				   ? (size_t)(room->at - (uint8_t *)msg->control)
				   : 0;
	if (room->is_cut)
		msg->flags_out |= MSG_CTRUNC;
}

void dgram_ctl_write(const struct dgram_ctl *ctl, struct sock_msg *msg)
{
	struct room room = {.at = msg->control, .left = msg->control ? msg->control_len : 0};
	uint32_t dropped = ctl->dropped;
	uint8_t tos = ctl->tos;

	if (has(ctl, SOCK_CTL_RXQ_OVFL))
		put(&room, SOL_SOCKET, SO_RXQ_OVFL, &dropped, sizeof(dropped));
	if (has(ctl, SOCK_CTL_GRO))
		put_int(&room, IPPROTO_UDP, UDP_GRO, ctl->segment);
	if (has(ctl, SOCK_CTL_PKTINFO))
		put_pktinfo(&room, &ctl->local);
	if (has(ctl, SOCK_CTL_TTL))
		put_int(&room, IPPROTO_IP, IP_TTL, ctl->ttl);
	if (has(ctl, SOCK_CTL_TOS))
		put(&room, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	if (has(ctl, SOCK_CTL_PKTINFO6))
		put_pktinfo6(&room, &ctl->local);
	if (has(ctl, SOCK_CTL_HOPLIMIT))
		put_int(&room, IPPROTO_IPV6, IPV6_HOPLIMIT, ctl->ttl);
	if (has(ctl, SOCK_CTL_TCLASS))
		put_int(&room, IPPROTO_IPV6, IPV6_TCLASS, ctl->tos);
	finish(&room, msg);
}

void dgram_ctl_write_err(const struct dgram_ctl_err *err, bool is_v6, struct sock_msg *msg)
{
	struct room room = {.at = msg->control, .left = msg->control ? msg->control_len : 0};
	bool has_from = dgram_ctl_is_icmp(&err->ee);

	struct {
		struct sock_extended_err ee;
		struct sockaddr_in from;
	} v4 = {.ee = err->ee};

	struct {
		struct sock_extended_err ee;
		struct sockaddr_in6 from;
	} v6 = {.ee = err->ee};

	if (is_v6) {
		v6.from.sin6_family = has_from ? AF_INET6 : AF_UNSPEC;
		if (has_from)
			memcpy(&v6.from.sin6_addr, err->from.b, sizeof(v6.from.sin6_addr));
		put(&room, IPPROTO_IPV6, IPV6_RECVERR, &v6, sizeof(v6));
	} else {
		v4.from.sin_family = has_from ? AF_INET : AF_UNSPEC;
		if (has_from)
			memcpy(&v4.from.sin_addr, err->from.b + 12, sizeof(v4.from.sin_addr));
		put(&room, IPPROTO_IP, IP_RECVERR, &v4, sizeof(v4));
	}
	finish(&room, msg);
}
