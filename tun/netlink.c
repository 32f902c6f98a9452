/*
 * rtnetlink requests for a TUN interface: see netlink.h.  One socket per set-up; each request waits
 * for its acknowledgement.
 *
 * IPv6 addresses are set without duplicate address detection (they could not be used for a second
 * otherwise, and nobody is there to answer), and the kernel makes no link-local address of its own:
 * that keeps router solicitations off the interface.  A few multicast reports remain; the stack
 * drops them.  The kernel makes the route that lets it receive at such an address in a work queue,
 * after it has answered: set-up waits for the notification, so that no first packet is lost.
 */
#include "tun/netlink.h"

#include "tun/deadline.h"
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	NL_BUF_SIZE = 1024,
	TUN_QUEUE_PKTS = 10000, /* packets from the kernel that wait for us */
	NL_WAIT_MS = 1000,      /* for the local route; then the set-up goes on without */
};

struct nl_request {
	struct mnl_socket *socket;
	unsigned seq;
	_Alignas(struct nlmsghdr) char bytes[NL_BUF_SIZE];
};

static struct nlmsghdr *request_start(struct nl_request *r, uint16_t type, unsigned flags)
{
	memset(r->bytes, 0, sizeof(r->bytes));
	struct nlmsghdr *h = mnl_nlmsg_put_header(r->bytes);
	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	h->nlmsg_seq = ++r->seq;
	return h;
}

/* Sends the request and waits for the kernel's answer: 0 or its negative errno. */
static int request_send(struct nl_request *r, const struct nlmsghdr *h)
{
	char answer[NL_BUF_SIZE * 2];

	if (mnl_socket_sendto(r->socket, h, h->nlmsg_len) < 0)
		return -errno;
	ssize_t size = mnl_socket_recvfrom(r->socket, answer, sizeof(answer));
	if (size < 0)
		return -errno;
	unsigned port = mnl_socket_get_portid(r->socket);
	return mnl_cb_run(answer, (size_t)size, r->seq, port, NULL, NULL) < 0 ? -errno : 0;
}

static unsigned addr_bits(const struct addr *a)
{
	return addr_is_v4(a) ? 32 : 128;
}

static int parse_prefix_len(const char *text, unsigned max, unsigned *len)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	unsigned long value = strtoul(text, &end, 10);
	if (*end != '\0' || value > max)
		return -EINVAL;
	*len = (unsigned)value;
	return 0;
}

static int parse_remote(struct nl_family *f, const char *text)
{
	char host[ADDR_TEXT_SIZE];
	size_t size = strcspn(text, "/");

	if (size >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, size);
	host[size] = '\0';
	if (!addr_parse(host, &f->remote))
		return -EINVAL;
	f->has_remote = true;
	f->prefix_len = addr_bits(&f->remote);
	return text[size] == '/' ? parse_prefix_len(text + size + 1, f->prefix_len, &f->prefix_len)
				 : 0;
}

int nl_parse(struct nl_family *f, unsigned version, const char *local, const char *remote,
	     const struct why *why)
{
	*f = (struct nl_family){0};
	if (local) {
		f->has_local = addr_parse(local, &f->local);
		if (!f->has_local || addr_is_v4(&f->local) != (version == 4))
			return why_set(why, -EINVAL, "IPv%u peer address \"%.60s\"", version,
				       local);
	}
	if (remote && (parse_remote(f, remote) < 0 || addr_is_v4(&f->remote) != (version == 4)))
		return why_set(why, -EINVAL, "IPv%u address \"%.60s\"", version, remote);
	return 0;
}

static void put_addr(struct nlmsghdr *h, uint16_t type, const struct addr *a)
{
	if (addr_is_v4(a))
		mnl_attr_put(h, type, 4, a->b + 12);
	else
		mnl_attr_put(h, type, sizeof(a->b), a->b);
}

/* Clears the bits of 'a' behind the first 'prefix_len' of its family. */
static struct addr network_of(const struct addr *a, unsigned prefix_len)
{
	struct addr net = *a;
	unsigned first = addr_is_v4(a) ? 96 + prefix_len : prefix_len;

	for (unsigned bit = first; bit < 128; bit++)
		net.b[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return net;
}

/* mnl_attr_parse calls it per attribute: MNL_CB_STOP at the destination 'data'. */
static int is_destination(const struct nlattr *attr, void *data)
{
	const struct addr *wanted = data;

	if (mnl_attr_get_type(attr) == RTA_DST &&
	    mnl_attr_get_payload_len(attr) == sizeof(wanted->b) &&
	    memcmp(mnl_attr_get_payload(attr), wanted->b, sizeof(wanted->b)) == 0)
		return MNL_CB_STOP;
	return MNL_CB_OK;
}

/* mnl_cb_run calls it per message: MNL_CB_STOP at the local route to the address 'data'. */
static int is_local_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_type != RTN_LOCAL)
		return MNL_CB_OK;
	return mnl_attr_parse(h, sizeof(*m), is_destination, data);
}

/* Waits on the subscribed socket until the kernel can receive at 'a'. */
static void wait_for_local_route(struct mnl_socket *events, struct addr a)
{
	struct pollfd fd = {.fd = mnl_socket_get_fd(events), .events = POLLIN};
	weft_time_us deadline = deadline_after(NL_WAIT_MS * US_PER_MS);
	_Alignas(struct nlmsghdr) char message[NL_BUF_SIZE * 2];
	int rc = MNL_CB_OK;

	while (rc > MNL_CB_STOP && deadline_left(deadline) > 0) {
		if (poll(&fd, 1, (int)(deadline_left(deadline) / US_PER_MS) + 1) <= 0)
			continue;
		ssize_t size = mnl_socket_recvfrom(events, message, sizeof(message));
		rc = size < 0 ? -1 : mnl_cb_run(message, (size_t)size, 0, 0, is_local_route, &a);
	}
}

/* A socket that hears of new IPv6 routes, or NULL. */
static struct mnl_socket *subscribe_to_routes(void)
{
	struct mnl_socket *events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (events && mnl_socket_bind(events, RTMGRP_IPV6_ROUTE, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(events);
		return NULL;
	}
	return events;
}

/* Gives the interface the kernel's address, with the stack's as its peer. */
static int add_address(struct nl_request *r, unsigned index, const struct nl_family *f)
{
	bool is_v4 = addr_is_v4(&f->local);
	struct nlmsghdr *h = request_start(r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifa_family = is_v4 ? AF_INET : AF_INET6;
	m->ifa_prefixlen = (uint8_t)(f->has_remote ? f->prefix_len : addr_bits(&f->local));
	m->ifa_index = index;
	m->ifa_scope = RT_SCOPE_UNIVERSE;
	put_addr(h, IFA_LOCAL, &f->local);
	put_addr(h, IFA_ADDRESS, f->has_remote ? &f->remote : &f->local);
	if (!is_v4)
		mnl_attr_put_u32(h, IFA_FLAGS, IFA_F_NODAD);
	return request_send(r, h);
}

/* Routes the stack's net to the interface; the kernel may have done so for the address's sake. */
static int add_route(struct nl_request *r, unsigned index, const struct nl_family *f)
{
	struct addr net = network_of(&f->remote, f->prefix_len);
	struct nlmsghdr *h = request_start(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->rtm_family = addr_is_v4(&f->remote) ? AF_INET : AF_INET6;
	m->rtm_dst_len = (uint8_t)f->prefix_len;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_scope = addr_is_v4(&f->remote) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	m->rtm_type = RTN_UNICAST;
	put_addr(h, RTA_DST, &net);
	mnl_attr_put_u32(h, RTA_OIF, index);
	int rc = request_send(r, h);
	return rc == -EEXIST ? 0 : rc;
}

/* What the kernel says of the way to an address. */
struct way {
	unsigned index; /* of the interface; 0: it did not say */
	bool is_local;
};

static int take_oif(const struct nlattr *attr, void *data)
{
	struct way *way = data;

	if (mnl_attr_get_type(attr) == RTA_OIF && mnl_attr_get_payload_len(attr) == 4)
		way->index = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int take_way(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct way *way = data;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	way->is_local = m->rtm_type == RTN_LOCAL;
	return mnl_attr_parse(h, sizeof(*m), take_oif, data);
}

static struct way find_way(struct nl_request *r, const struct addr *to)
{
	struct nlmsghdr *h = request_start(r, RTM_GETROUTE, 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	_Alignas(struct nlmsghdr) char answer[NL_BUF_SIZE * 2];
	struct way way = {0};

	h->nlmsg_flags = NLM_F_REQUEST; /* the route is the answer: no acknowledgement behind it */
	m->rtm_family = addr_is_v4(to) ? AF_INET : AF_INET6;
	m->rtm_dst_len = (uint8_t)addr_bits(to);
	put_addr(h, RTA_DST, to);
	if (mnl_socket_sendto(r->socket, h, h->nlmsg_len) < 0)
		return way;
	ssize_t size = mnl_socket_recvfrom(r->socket, answer, sizeof(answer));
	if (size > 0)
		(void)mnl_cb_run(answer, (size_t)size, r->seq, mnl_socket_get_portid(r->socket),
				 take_way, &way);
	return way;
}

/*
 * Whether packets to the stack come to its interface.  They do not when the address is the host's own, or
 * another stack, most likely a second copy of the program, has it: neither would ever hear anything.
 */
static int check_way(struct nl_request *r, const struct nl_setup *s, const struct nl_family *f,
		     const struct why *why)
{
	char text[ADDR_TEXT_SIZE];
	char other[IF_NAMESIZE];

	if (!f->has_remote)
		return 0;
	struct way way = find_way(r, &f->remote);
	if (way.is_local)
		return why_set(why, -EADDRINUSE, "%s is this host's own address",
			       addr_print(&f->remote, text));
	if (way.index == 0 || way.index == s->index || !if_indextoname(way.index, other))
		return 0;
	return why_set(why, -EADDRINUSE, "packets to %s go to %s, not to %s",
		       addr_print(&f->remote, text), other, s->name);
}

/*
 * Sets the MTU, the length of the queue towards us, and brings the link up.  The default of 500
 * packets overflows when a thousand connections speak at once.
 */
static int set_link(struct nl_request *r, unsigned index, uint32_t mtu, bool up)
{
	struct nlmsghdr *h = request_start(r, RTM_NEWLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifi_family = AF_UNSPEC;
	m->ifi_index = (int)index;
	m->ifi_change = up ? IFF_UP : 0;
	m->ifi_flags = up ? IFF_UP : 0;
	if (mtu > 0)
		mnl_attr_put_u32(h, IFLA_MTU, mtu);
	mnl_attr_put_u32(h, IFLA_TXQLEN, TUN_QUEUE_PKTS);
	return request_send(r, h);
}

/* Asks the kernel not to make a link-local address; it does not matter whether it obeys. */
static void avoid_link_local(struct nl_request *r, unsigned index)
{
	struct nlmsghdr *h = request_start(r, RTM_NEWLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifi_family = AF_UNSPEC;
	m->ifi_index = (int)index;
	struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, spec);
	(void)request_send(r, h);
}

/* Whether the interface is up with this MTU; false when that cannot be found out. */
static bool link_is_ready(const char *name, uint32_t mtu)
{
	struct ifreq ifr = {0};
	bool ready = false;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && ((unsigned)ifr.ifr_flags & IFF_UP))
		ready = ioctl(fd, SIOCGIFMTU, &ifr) == 0 && (uint32_t)ifr.ifr_mtu == mtu;
	close(fd);
	return ready;
}

static int setup_family(struct nl_request *r, const struct nl_setup *s, const struct nl_family *f,
			const struct why *why)
{
	char text[ADDR_TEXT_SIZE];

	if (!f->has_local)
		return 0;
	struct mnl_socket *events = addr_is_v4(&f->local) ? NULL : subscribe_to_routes();
	int rc = add_address(r, s->index, f);
	if (rc == 0 && events)
		wait_for_local_route(events, f->local);
	if (events)
		mnl_socket_close(events);
	if (rc == 0 || rc == -EEXIST)
		return 0;
	/* Without the right to: somebody else may have done it, for an interface that is this user's. */
	if (rc == -EPERM && find_way(r, &f->local).is_local)
		return 0;
	/* What the kernel says where net.ipv6.conf.*.disable_ipv6 is set. */
	if (rc == -EACCES && !addr_is_v4(&f->local))
		return why_set(why, -EADDRNOTAVAIL, "set address %s on %s: IPv6 is disabled",
			       addr_print(&f->local, text), s->name);
	return why_set(why, rc, "set address %s on %s", addr_print(&f->local, text), s->name);
}

static int setup_route(struct nl_request *r, const struct nl_setup *s, const struct nl_family *f,
		       const struct why *why)
{
	char text[ADDR_TEXT_SIZE];

	if (!f->has_remote)
		return 0;
	int rc = add_route(r, s->index, f);
	if (rc == 0 || (rc == -EPERM && find_way(r, &f->remote).index == s->index))
		return 0;
	return why_set(why, rc, "add route to %s/%u through %s", addr_print(&f->remote, text),
		       f->prefix_len, s->name);
}

static int setup_all(struct nl_request *r, const struct nl_setup *s, const struct why *why)
{
	int rc = 0;

	if (!link_is_ready(s->name, s->mtu)) {
		rc = set_link(r, s->index, s->mtu, false);
		if (rc < 0)
			return why_set(why, rc, "set MTU %u on %s", s->mtu, s->name);
		avoid_link_local(r, s->index);
		rc = set_link(r, s->index, 0, true);
		if (rc < 0)
			return why_set(why, rc, "set %s up", s->name);
	}
	rc = setup_family(r, s, &s->v4, why);
	if (rc == 0)
		rc = setup_family(r, s, &s->v6, why);
	if (rc == 0)
		rc = setup_route(r, s, &s->v4, why);
	if (rc == 0)
		rc = setup_route(r, s, &s->v6, why);
	if (rc == 0)
		rc = check_way(r, s, &s->v4, why);
	if (rc == 0)
		rc = check_way(r, s, &s->v6, why);
	return rc;
}

int nl_setup_link(const struct nl_setup *setup, const struct why *why)
{
	struct nl_request r = {.socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)};
	int rc;

	if (!r.socket)
		return why_set(why, -errno, "open a netlink socket");
	if (mnl_socket_bind(r.socket, 0, MNL_SOCKET_AUTOPID) < 0)
		rc = why_set(why, -errno, "bind a netlink socket");
	else
		rc = setup_all(&r, setup, why);
	mnl_socket_close(r.socket);
	return rc;
}
