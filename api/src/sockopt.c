/*
 * weft_setsockopt and weft_getsockopt: Linux's numbers, sizes, ranges and errnos in front of the
 * stack's settings.  Any thread.
 *
 * Setting: a value shorter than the option's type is EINVAL, an unknown option ENOPROTOOPT, one out
 * of range EINVAL (EDOM for the microseconds of a timeout).  Getting: as many bytes as asked for,
 * at most the option's size, which comes back in '*len'.
 *
 * SO_RCVBUF and SO_SNDBUF follow Linux: the value is cut to the largest one, doubled, and raised to
 * a least one; getting returns the doubled value.  Here the largest is half of the stack's buf_max,
 * so that what is in force never exceeds buf_max.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "api/src/tcpinfo.h"
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/time.h>

#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25 /* <netinet/tcp.h> has it since glibc 2.37 */
#endif

enum {
	RCVBUF_MIN = 2304, /* Linux's SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF on 64 bits */
	SNDBUF_MIN = 4608,
	MSS_MIN = 88, /* Linux's TCP_MIN_MSS and MAX_TCP_WINDOW */
	MSS_MAX = 32767,
	KEEP_TIME_MAX = 32767, /* seconds */
	KEEP_COUNT_MAX = 127,
	SYN_COUNT_MAX = 127,              /* Linux's MAX_TCP_SYNCNT */
	DEFER_STEP_MAX = 120,             /* Linux's TCP_RTO_MAX, seconds */
	LINGER2_MAX = 120,                /* Linux's TCP_FIN_TIMEOUT_MAX, seconds */
	TIMEOUT_SECONDS_MAX = 1000000000, /* beyond: none */
	TIMEOUT_NOW = 1, /* a negative one: do not wait; Linux reads it back as 0 */
};

/* How an option looks to the program. */
enum opt_kind {
	KIND_BOOL,
	KIND_INT,  /* 'min' to 'max' */
	KIND_BYTE, /* the lowest eight bits; of no bytes: 0 */
	KIND_MSS,  /* KIND_INT, or 0 */
	KIND_BUF,  /* bytes; 'min' is the least that is in force */
	KIND_LOWAT,
	KIND_CLAMP,   /* bytes; below 'min' is 'min', 0 none */
	KIND_TIMEOUT, /* struct timeval */
	KIND_LINGER,  /* struct linger */
	KIND_LINGER2, /* seconds; below 0 is -1, above 'max' is 'max' */
	KIND_GET,     /* an int that cannot be set */
	KIND_CONST,   /* the same; the value is 'min' */
	KIND_DOMAIN,  /* of the object itself: ints */
	KIND_TYPE,
	KIND_PROTOCOL,
	KIND_INFO,  /* struct tcp_info */
	KIND_CTL,   /* KIND_BOOL; 'min' is an enum sock_ctl_kind */
	KIND_CC,    /* TCP_CONGESTION's name */
	KIND_DEFER, /* seconds, rounded to the next SYN-ACK */
	KIND_RATE,  /* unsigned int or unsigned long; the largest one is none */
};

struct opt_entry {
	int level;
	int name;
	enum opt_kind kind;
	enum sock_opt opt;
	int min;
	int max;
};

static const struct opt_entry entries[] = {
	{SOL_SOCKET, SO_REUSEADDR, KIND_BOOL, SOCK_OPT_REUSEADDR, 0, 0},
	{SOL_SOCKET, SO_REUSEPORT, KIND_BOOL, SOCK_OPT_REUSEPORT, 0, 0},
	{SOL_SOCKET, SO_OOBINLINE, KIND_BOOL, SOCK_OPT_OOBINLINE, 0, 0},
	{SOL_SOCKET, SO_BROADCAST, KIND_BOOL, SOCK_OPT_BROADCAST, 0, 0},
	{SOL_SOCKET, SO_KEEPALIVE, KIND_BOOL, SOCK_OPT_KEEPALIVE, 0, 0},
	{SOL_SOCKET, SO_RCVBUF, KIND_BUF, SOCK_OPT_RCVBUF, RCVBUF_MIN, 0},
	{SOL_SOCKET, SO_SNDBUF, KIND_BUF, SOCK_OPT_SNDBUF, SNDBUF_MIN, 0},
	{SOL_SOCKET, SO_RCVTIMEO, KIND_TIMEOUT, SOCK_OPT_RCVTIMEO, 0, 0},
	{SOL_SOCKET, SO_SNDTIMEO, KIND_TIMEOUT, SOCK_OPT_SNDTIMEO, 0, 0},
	{SOL_SOCKET, SO_LINGER, KIND_LINGER, SOCK_OPT_LINGER, 0, 0},
	{SOL_SOCKET, SO_RCVLOWAT, KIND_LOWAT, SOCK_OPT_RCVLOWAT, 0, 0},
	{SOL_SOCKET, SO_SNDLOWAT, KIND_CONST, SOCK_OPT_ERROR, 1, 0},
	{SOL_SOCKET, SO_ERROR, KIND_GET, SOCK_OPT_ERROR, 0, 0},
	{SOL_SOCKET, SO_ACCEPTCONN, KIND_GET, SOCK_OPT_ACCEPTCONN, 0, 0},
	{SOL_SOCKET, SO_TYPE, KIND_TYPE, SOCK_OPT_ERROR, 0, 0},
	{SOL_SOCKET, SO_PROTOCOL, KIND_PROTOCOL, SOCK_OPT_ERROR, 0, 0},
	{SOL_SOCKET, SO_DOMAIN, KIND_DOMAIN, SOCK_OPT_ERROR, 0, 0},
	{SOL_SOCKET, SO_ZEROCOPY, KIND_INT, SOCK_OPT_ZEROCOPY, 0, 1},
	{IPPROTO_TCP, TCP_NODELAY, KIND_BOOL, SOCK_OPT_NODELAY, 0, 0},
	{IPPROTO_TCP, TCP_CORK, KIND_BOOL, SOCK_OPT_CORK, 0, 0},
	{IPPROTO_TCP, TCP_QUICKACK, KIND_INT, SOCK_OPT_QUICKACK, INT_MIN, INT_MAX},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, KIND_INT, SOCK_OPT_NOTSENT_LOWAT, INT_MIN, INT_MAX},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, KIND_DEFER, SOCK_OPT_DEFER_ACCEPT, 0, 0},
	{IPPROTO_TCP, TCP_MAXSEG, KIND_MSS, SOCK_OPT_MAXSEG, MSS_MIN, MSS_MAX},
	{IPPROTO_TCP, TCP_KEEPIDLE, KIND_INT, SOCK_OPT_KEEPIDLE, 1, KEEP_TIME_MAX},
	{IPPROTO_TCP, TCP_KEEPINTVL, KIND_INT, SOCK_OPT_KEEPINTVL, 1, KEEP_TIME_MAX},
	{IPPROTO_TCP, TCP_KEEPCNT, KIND_INT, SOCK_OPT_KEEPCNT, 1, KEEP_COUNT_MAX},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, KIND_INT, SOCK_OPT_USER_TIMEOUT, 0, INT_MAX},
	{IPPROTO_TCP, TCP_SYNCNT, KIND_INT, SOCK_OPT_SYNCNT, 1, SYN_COUNT_MAX},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP, KIND_CLAMP, SOCK_OPT_WINDOW_CLAMP, RCVBUF_MIN / 2, 0},
	{IPPROTO_TCP, TCP_LINGER2, KIND_LINGER2, SOCK_OPT_LINGER2, 0, LINGER2_MAX},
	{SOL_SOCKET, SO_MAX_PACING_RATE, KIND_RATE, SOCK_OPT_PACING_MAX, 0, 0},
	{IPPROTO_TCP, TCP_CONGESTION, KIND_CC, SOCK_OPT_CONGESTION, 1, 0},
	{IPPROTO_TCP, TCP_FASTOPEN, KIND_INT, SOCK_OPT_FASTOPEN, 0, INT_MAX},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, KIND_INT, SOCK_OPT_FASTOPEN_CONNECT, 0, 1},
	{IPPROTO_TCP, TCP_INFO, KIND_INFO, SOCK_OPT_ERROR, 0, 0},
	{IPPROTO_IP, IP_TTL, KIND_INT, SOCK_OPT_TTL, -1, 255},
	{IPPROTO_IP, IP_TOS, KIND_BYTE, SOCK_OPT_TOS, 0, 0},
	{IPPROTO_IP, IP_MINTTL, KIND_INT, SOCK_OPT_MINTTL, 0, 255},
	{IPPROTO_IP, IP_MTU_DISCOVER, KIND_INT, SOCK_OPT_PMTUDISC, 0, SOCK_PMTUDISC_OMIT},
	{IPPROTO_IP, IP_MTU, KIND_GET, SOCK_OPT_MTU, 0, 0},
	{IPPROTO_IP, IP_PKTINFO, KIND_CTL, SOCK_OPT_RECVCTL, SOCK_CTL_PKTINFO, 0},
	{IPPROTO_IP, IP_RECVTTL, KIND_CTL, SOCK_OPT_RECVCTL, SOCK_CTL_TTL, 0},
	{IPPROTO_IP, IP_RECVTOS, KIND_CTL, SOCK_OPT_RECVCTL, SOCK_CTL_TOS, 0},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO, KIND_CTL, SOCK_OPT_RECVCTL, SOCK_CTL_PKTINFO6, 0},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, KIND_CTL, SOCK_OPT_RECVCTL, SOCK_CTL_HOPLIMIT, 0},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, KIND_CTL, SOCK_OPT_RECVCTL, SOCK_CTL_TCLASS, 0},
	{IPPROTO_IP, IP_RECVERR, KIND_BOOL, SOCK_OPT_RECVERR, 0, 0},
	{IPPROTO_IPV6, IPV6_RECVERR, KIND_BOOL, SOCK_OPT_RECVERR6, 0, 0},
	{IPPROTO_UDP, UDP_GRO, KIND_BOOL, SOCK_OPT_GRO, 0, 0},
	{IPPROTO_UDP, UDP_SEGMENT, KIND_INT, SOCK_OPT_SEGMENT, 0, UINT16_MAX},
	{SOL_SOCKET, SO_RXQ_OVFL, KIND_CTL, SOCK_OPT_RECVCTL, SOCK_CTL_RXQ_OVFL, 0},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, KIND_INT, SOCK_OPT_TTL, -1, 255},
	{IPPROTO_IPV6, IPV6_TCLASS, KIND_INT, SOCK_OPT_TOS, -1, 255},
	{IPPROTO_IPV6, IPV6_MINHOPCOUNT, KIND_INT, SOCK_OPT_MINTTL, 0, 255},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, KIND_INT, SOCK_OPT_PMTUDISC, 0, SOCK_PMTUDISC_OMIT},
	{IPPROTO_IPV6, IPV6_MTU, KIND_GET, SOCK_OPT_MTU, 0, 0},
	{IPPROTO_IPV6, IPV6_V6ONLY, KIND_BOOL, SOCK_OPT_V6ONLY, 0, 0},
};

/* What an option's value may be; the getter's copy to the program starts at its first byte. */
union opt_value {
	int number;
	struct timeval timeout;
	struct linger linger;
	struct tcpinfo info;
	char name[TCP_CC_NAME_MAX];
	unsigned long rate;
};

/* The option, NULL when a socket of that family has none such. */
static const struct opt_entry *find_entry(int level, int name, bool is_v6)
{
	if (level == IPPROTO_IPV6 && !is_v6)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		if (entries[i].level == level && entries[i].name == name)
			return &entries[i];
	return NULL;
}

static int parse_buf(struct conn *conn, const struct opt_entry *entry, int number, int64_t *value)
{
	uint32_t largest = stack_get_config(proto_stack(conn))->buf_max;
	/* Linux compares as unsigned: a negative size is a very large one. */
	uint32_t size = (uint32_t)number < largest / 2 ? (uint32_t)number : largest / 2;

	*value = 2 * (int64_t)size;
	if (*value < entry->min)
		*value = entry->min;
	return 0;
}

static int parse_timeout(const void *bytes, socklen_t len, int64_t *value)
{
	struct timeval tv;

	if (len < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, bytes, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= US_PER_S)
		return -EDOM;
	if (tv.tv_sec < 0)
		*value = TIMEOUT_NOW;
	else if (tv.tv_sec > TIMEOUT_SECONDS_MAX)
		*value = 0;
	else
		*value = (int64_t)tv.tv_sec * US_PER_S + tv.tv_usec;
	return 0;
}

static int parse_linger(const void *bytes, socklen_t len, int64_t *value)
{
	struct linger linger;

	if (len < sizeof(linger))
		return -EINVAL;
	memcpy(&linger, bytes, sizeof(linger));
	if (!linger.l_onoff)
		*value = -1;
	else
		*value = linger.l_linger < 0 ? INT_MAX : linger.l_linger;
	return 0;
}

/* As Linux: what is longer than a name can be is cut. */
static int parse_cc(const void *bytes, socklen_t len, int64_t *value)
{
	size_t size = strnlen(bytes, len < TCP_CC_NAME_MAX - 1 ? len : TCP_CC_NAME_MAX - 1);
	int number = tcp_cc_find(bytes, size);

	*value = number;
	return number < 0 ? -ENOENT : 0;
}

static int parse_rate(const void *bytes, socklen_t len, int64_t *value)
{
	unsigned long rate;
	unsigned narrow;

	memcpy(&narrow, bytes, sizeof(narrow));
	rate = narrow == UINT_MAX ? ULONG_MAX : narrow;
	if (len >= sizeof(rate))
		memcpy(&rate, bytes, sizeof(rate));
	*value = (int64_t)rate;
	return 0;
}

/*
 * As Linux, TCP_DEFER_ACCEPT counts SYN-ACKs, which double their distance from a second on to two
 * minutes.  'limit': seconds, or SYN-ACKs, at which to stop.
 */
static void defer_period(int limit_s, int limit_count, int *s, int *count)
{
	int step = 1;

	*s = 0;
	for (*count = 0; *count < limit_count && *s < limit_s; ++*count) {
		*s += step;
		step = step < DEFER_STEP_MAX / 2 ? 2 * step : DEFER_STEP_MAX;
	}
}

/* From the program's bytes (at least an int) to the stack's value. */
static int parse_value(struct conn *conn, const struct opt_entry *entry, const void *bytes,
		       socklen_t len, int64_t *value)
{
	int number, ignored;

	memcpy(&number, bytes, sizeof(number));
	*value = number;
	switch (entry->kind) {
	case KIND_BOOL:
		*value = number != 0;
		return 0;
	case KIND_MSS:
		if (number == 0)
			return 0;
		return number < entry->min || number > entry->max ? -EINVAL : 0;
	case KIND_BYTE:
		*value = number & 0xff;
		return 0;
	case KIND_CTL:
		*value = number != 0 ? 1 << entry->min : -(1 << entry->min);
		return 0;
	case KIND_INT:
		return number < entry->min || number > entry->max ? -EINVAL : 0;
	case KIND_BUF:
		return parse_buf(conn, entry, number, value);
	case KIND_LOWAT:
		if (number <= 0)
			*value = number < 0 ? INT_MAX : 1;
		return 0;
	case KIND_CLAMP:
		if (number != 0 && number < entry->min)
			*value = entry->min;
		return 0;
	case KIND_TIMEOUT:
		return parse_timeout(bytes, len, value);
	case KIND_LINGER:
		return parse_linger(bytes, len, value);
	case KIND_LINGER2:
		*value = number < 0 ? -1 : number < entry->max ? number : entry->max;
		return 0;
	case KIND_RATE:
		return parse_rate(bytes, len, value);
	case KIND_DEFER:
		defer_period(number, UINT8_MAX, &ignored, &number);
		*value = number;
		return 0;
	case KIND_CC:
	case KIND_GET:
	case KIND_CONST:
	case KIND_DOMAIN:
	case KIND_TYPE:
	case KIND_PROTOCOL:
	case KIND_INFO:
		break;
	}
	return -ENOPROTOOPT;
}

static int set_option(struct conn *conn, int level, int option, const void *bytes, socklen_t len)
{
	const struct opt_entry *entry = find_entry(level, option, proto_of(conn)->is_v6(conn));
	bool is_level = level == SOL_SOCKET || level == IPPROTO_TCP || level == IPPROTO_IP ||
			level == proto_of(conn)->protocol ||
			(level == IPPROTO_IPV6 && proto_of(conn)->is_v6(conn));
	int number;
	int64_t value;

	if (len > INT_MAX)
		return -EINVAL;
	if (!is_level)
		return -ENOPROTOOPT;
	bool is_name = entry && entry->kind == KIND_CC;
	bool is_byte = entry && entry->kind == KIND_BYTE;
	size_t least = is_byte ? 0 : is_name || level == IPPROTO_IP ? 1 : sizeof(int);
	if (len < least)
		return -EINVAL;
	if (!bytes && len > 0)
		return -EFAULT;
	if (!is_name && len < sizeof(int)) { /* IP takes a byte, too */
		number = len > 0 ? *(const uint8_t *)bytes : 0;
		bytes = &number;
		len = sizeof(number);
	}
	if (!entry)
		return -ENOPROTOOPT;
	int rc = is_name ? parse_cc(bytes, len, &value)
			 : parse_value(conn, entry, bytes, len, &value);
	return rc < 0 ? rc : proto_of(conn)->setopt(conn, entry->opt, value);
}

int weft_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	struct conn *conn;
	int rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret_int(rc);
	rc = set_option(conn, level, option, value, len);
	proto_put(&conn);
	return api_ret_int(rc);
}

static int get_info(struct conn *conn, union opt_value *out)
{
	struct tcp_status status;
	struct sock *sock = proto_sock(conn);
	int rc = sock ? sock_status(sock, &status) : -ENOPROTOOPT;

	if (rc < 0)
		return rc;
	tcpinfo_fill(&out->info, &status);
	return (int)sizeof(out->info);
}

/* As Linux: a rate that does not fit in an unsigned int is its largest one. */
static int get_rate(int64_t value, socklen_t len, union opt_value *out)
{
	unsigned narrow;

	out->rate = (unsigned long)value;
	if (len >= sizeof(out->rate))
		return (int)sizeof(out->rate);
	narrow = out->rate < UINT_MAX ? (unsigned)out->rate : UINT_MAX;
	memcpy(out, &narrow, sizeof(narrow));
	return (int)sizeof(narrow);
}

/* From the stack's value to the program's; returns the size or -errno. */
static int get_value(struct conn *conn, const struct opt_entry *entry, socklen_t len,
		     union opt_value *out)
{
	int64_t value = entry->min;

	if (entry->kind == KIND_INFO)
		return get_info(conn, out);
	if (entry->kind == KIND_DOMAIN) {
		value = proto_of(conn)->is_v6(conn) ? AF_INET6 : AF_INET;
	} else if (entry->kind == KIND_TYPE) {
		value = proto_of(conn)->type;
	} else if (entry->kind == KIND_PROTOCOL) {
		value = proto_of(conn)->protocol;
	} else if (entry->kind != KIND_CONST) {
		int rc = proto_of(conn)->getopt(conn, entry->opt, &value);
		if (rc < 0)
			return rc;
	}
	if (entry->kind == KIND_TIMEOUT) {
		if (value == TIMEOUT_NOW)
			value = 0;
		out->timeout.tv_sec = value / US_PER_S;
		out->timeout.tv_usec = value % US_PER_S;
		return (int)sizeof(out->timeout);
	}
	if (entry->kind == KIND_RATE)
		return get_rate(value, len, out);
	if (entry->kind == KIND_CC) {
		memcpy(out->name, tcp_cc_get((unsigned)value)->name, sizeof(out->name));
		return (int)sizeof(out->name);
	}
	if (entry->kind == KIND_DEFER) {
		int ignored;

		defer_period(INT_MAX, (int)value, &out->number, &ignored);
		return (int)sizeof(out->number);
	}
	if (entry->kind == KIND_LINGER) {
		out->linger.l_onoff = value >= 0;
		out->linger.l_linger = value >= 0 ? (int)value : 0;
		return (int)sizeof(out->linger);
	}
	if (entry->kind == KIND_CTL)
		value = (value & 1 << entry->min) != 0;
	out->number = value > INT_MAX ? INT_MAX : (int)value;
	return (int)sizeof(out->number);
}

static int get_option(struct conn *conn, int level, int option, void *bytes, socklen_t *len)
{
	const struct opt_entry *entry = find_entry(level, option, proto_of(conn)->is_v6(conn));
	bool is_level = level == SOL_SOCKET || level == IPPROTO_TCP || level == IPPROTO_IP ||
			level == proto_of(conn)->protocol;
	union opt_value value;

	if (!len)
		return -EFAULT;
	if (*len > INT_MAX)
		return -EINVAL;
	/* As measured on Linux: an AF_INET socket tells unknown levels from unknown options. */
	if (!is_level && !proto_of(conn)->is_v6(conn))
		return -EOPNOTSUPP;
	if (!entry)
		return -ENOPROTOOPT;
	if (!bytes && *len > 0)
		return -EFAULT;
	int size = get_value(conn, entry, *len, &value);
	if (size < 0)
		return size;
	if (*len > (socklen_t)size)
		*len = (socklen_t)size;
	/* As Linux: at IP's level less than an int is a byte, if the value is one. */
	if (level == IPPROTO_IP && *len > 0 && *len < sizeof(int) && value.number >= 0 &&
	    value.number <= UINT8_MAX) {
		*len = 1;
		*(uint8_t *)bytes = (uint8_t)value.number;
	} else if (*len > 0) {
		memcpy(bytes, &value, *len);
	}
	return 0;
}

int weft_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	struct conn *conn;
	int rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret_int(rc);
	rc = get_option(conn, level, option, value, len);
	proto_put(&conn);
	return api_ret_int(rc);
}
