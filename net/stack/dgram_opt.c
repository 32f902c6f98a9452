/* Options of datagram sockets; api/ has mapped numbers and checked ranges.  Application threads. */
#include "net/stack/dgram.h"
#include "net/stack/path.h"
#include "net/stack/stack_int.h"
#include "net/wire/ip.h"
#include <errno.h>

/* As Linux: without it what is queued goes. */
static int set_recverr(struct dgram *d, bool is_v6, bool on) REQUIRES(lc_dgram)
{
	if (is_v6)
		d->opt.recverr6 = on;
	else
		d->opt.recverr = on;
	if (!on)
		buf_queue_clear(&d->errs);
	return 0;
}

static int set_ip(struct dgram *d, enum sock_opt opt, int64_t value) REQUIRES(lc_dgram)
{
	switch ((int)opt) {
	case SOCK_OPT_TTL:
		if (value == 0)
			return -EINVAL; /* never sent (RFC 1122 3.2.1.7) */
		d->opt.ttl = value < 0 ? IP_TTL_DEFAULT : (uint8_t)value;
		return 0;
	case SOCK_OPT_TOS:
		d->opt.tos = value < 0 ? 0 : (uint8_t)value; /* ECN included (RFC 8085 3.1.7) */
		return 0;
	case SOCK_OPT_MINTTL:
		d->opt.min_ttl = (uint8_t)value;
		return 0;
	case SOCK_OPT_PMTUDISC:
		d->opt.pmtudisc = (uint8_t)value;
		return 0;
	case SOCK_OPT_SEGMENT:
		if (d->is_ping)
			return -ENOPROTOOPT;
		d->opt.segment = (uint16_t)value;
		return 0;
	case SOCK_OPT_RECVERR:
	case SOCK_OPT_RECVERR6:
		return set_recverr(d, opt == SOCK_OPT_RECVERR6, value != 0);
	case SOCK_OPT_GRO:
		if (d->is_ping)
			return -ENOPROTOOPT;
		d->opt.gro = value != 0;
		return 0;
	case SOCK_OPT_RECVCTL:
		if (value > 0)
			d->opt.recv_ctl |= (uint8_t)value;
		else
			d->opt.recv_ctl &= (uint8_t) ~-value;
		return 0;
	case SOCK_OPT_V6ONLY:
		if (!d->is_v6)
			return -ENOPROTOOPT;
		if (d->is_bound)
			return -EINVAL;
		d->opt.v6only = value != 0;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int set(struct dgram *d, enum sock_opt opt, int64_t value) REQUIRES(lc_dgram)
{
	switch ((int)opt) {
	case SOCK_OPT_REUSEADDR:
		d->opt.reuseaddr = value != 0;
		return 0;
	case SOCK_OPT_REUSEPORT:
		d->opt.reuseport = value != 0;
		return 0;
	case SOCK_OPT_BROADCAST:
		d->opt.broadcast = value != 0;
		return 0;
	case SOCK_OPT_KEEPALIVE:
		d->opt.keepalive = value != 0;
		return 0;
	case SOCK_OPT_OOBINLINE:
		d->opt.oob_inline = value != 0;
		return 0;
	case SOCK_OPT_RCVBUF:
		d->opt.rcvbuf = (uint32_t)value;
		return 0;
	case SOCK_OPT_SNDBUF:
		d->opt.sndbuf = (uint32_t)value;
		dgram_wake_writer(d);
		dgram_tell_room(d);
		return 0;
	case SOCK_OPT_ZEROCOPY: /* a datagram is copied once, into its packet */
		return -EOPNOTSUPP;
	case SOCK_OPT_RCVTIMEO:
		d->opt.rcvtimeo = value;
		return 0;
	case SOCK_OPT_SNDTIMEO:
		d->opt.sndtimeo = value;
		return 0;
	case SOCK_OPT_RCVLOWAT: /* a message is enough, whatever this says */
		d->opt.rcvlowat = (uint32_t)value;
		return 0;
	default:
		return set_ip(d, opt, value);
	}
}

int dgram_setopt(struct dgram *d, enum sock_opt opt, int64_t value)
{
	dgram_lock(d);
	int rc = dgram_gone(d);

	if (rc == 0)
		rc = set(d, opt, value);
	dgram_unlock(d);
	return rc;
}

static int get_ip(struct dgram *d, enum sock_opt opt, int64_t *value) REQUIRES(lc_dgram)
{
	struct stack *stack = dgram_stack(d);

	switch ((int)opt) {
	case SOCK_OPT_TTL:
		*value = d->opt.ttl;
		return 0;
	case SOCK_OPT_TOS:
		*value = d->opt.tos;
		return 0;
	case SOCK_OPT_MINTTL:
		*value = d->opt.min_ttl;
		return 0;
	case SOCK_OPT_PMTUDISC:
		*value = d->opt.pmtudisc;
		return 0;
	case SOCK_OPT_SEGMENT:
		*value = d->opt.segment;
		return d->is_ping ? -ENOPROTOOPT : 0;
	case SOCK_OPT_RECVERR:
		*value = d->opt.recverr;
		return 0;
	case SOCK_OPT_RECVERR6:
		*value = d->opt.recverr6;
		return 0;
	case SOCK_OPT_GRO:
		*value = d->opt.gro;
		return d->is_ping ? -ENOPROTOOPT : 0;
	case SOCK_OPT_RECVCTL:
		*value = d->opt.recv_ctl;
		return 0;
	case SOCK_OPT_MTU:
		if (!d->is_connected)
			return -ENOTCONN;
		*value = path_mtu(stack, &d->conn.flow.remote, stack_now(stack));
		return 0;
	case SOCK_OPT_V6ONLY:
		*value = d->opt.v6only;
		return d->is_v6 ? 0 : -ENOPROTOOPT;
	default:
		return -ENOPROTOOPT;
	}
}

static int get(struct dgram *d, enum sock_opt opt, int64_t *value) REQUIRES(lc_dgram)
{
	switch ((int)opt) {
	case SOCK_OPT_REUSEADDR:
		*value = d->opt.reuseaddr;
		return 0;
	case SOCK_OPT_REUSEPORT:
		*value = d->opt.reuseport;
		return 0;
	case SOCK_OPT_BROADCAST:
		*value = d->opt.broadcast;
		return 0;
	case SOCK_OPT_KEEPALIVE:
		*value = d->opt.keepalive;
		return 0;
	case SOCK_OPT_OOBINLINE:
		*value = d->opt.oob_inline;
		return 0;
	case SOCK_OPT_RCVBUF:
		*value = d->opt.rcvbuf;
		return 0;
	case SOCK_OPT_SNDBUF:
		*value = d->opt.sndbuf;
		return 0;
	case SOCK_OPT_RCVTIMEO:
		*value = d->opt.rcvtimeo;
		return 0;
	case SOCK_OPT_SNDTIMEO:
		*value = d->opt.sndtimeo;
		return 0;
	case SOCK_OPT_RCVLOWAT:
		*value = d->opt.rcvlowat;
		return 0;
	case SOCK_OPT_ERROR:
		*value = -dgram_take_error(d);
		return 0;
	case SOCK_OPT_ACCEPTCONN:
	case SOCK_OPT_ZEROCOPY:
		*value = 0;
		return 0;
	default:
		return get_ip(d, opt, value);
	}
}

int dgram_getopt(struct dgram *d, enum sock_opt opt, int64_t *value)
{
	dgram_lock(d);
	int rc = dgram_gone(d);

	if (rc == 0)
		rc = get(d, opt, value);
	dgram_unlock(d);
	return rc;
}
