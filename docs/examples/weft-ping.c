/*
 * weft-ping - sends ICMP echo requests and says what comes back, as ping does.
 *
 * One thread sends and receives; a signal shuts the socket down for reading, which ends the wait.
 * Options and the stop on a signal are those of common.c.  With --kernel the group must be allowed to
 * ping (net.ipv4.ping_group_range).
 */
#include "common.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum {
	HDR_SIZE = 8,
	DATA_MAX = 65507,
	FLOOD_US = 10000, /* without interval, and without a reply */
	US = 1000000,
};

struct ping {
	struct app *app;
	const char *host;
	/* Options. */
	uint64_t count; /* 0: until stopped */
	int64_t interval_us;
	uint64_t size;
	uint64_t ttl; /* 0: the default */
	int64_t wait_us;
	/* The run. */
	int fd;
	bool is_v6;
	bool is_stopped; /* atomic */
	char name[ADDR_TEXT_SIZE];
	uint64_t sent, received, doubled, errors;
	int64_t sent_at[65536]; /* by sequence number; 0: answered, or never sent */
	double min_ms, max_ms, sum_ms, sum2_ms;
	uint8_t buf[HDR_SIZE + DATA_MAX];
};

/* Seconds with a fraction. */
static bool parse_seconds(const char *text, int64_t *us)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0) || seconds > 1e6)
		return false;
	*us = (int64_t)(seconds * US);
	return true;
}

static bool take_option(void *ctx, int value, const char *arg)
{
	struct ping *ping = ctx;

	switch (value) {
	case 'c':
		return parse_number(arg, UINT32_MAX, &ping->count) && ping->count > 0;
	case 'i':
		return parse_seconds(arg, &ping->interval_us);
	case 's':
		return parse_number(arg, DATA_MAX, &ping->size);
	case 't':
		return parse_number(arg, 255, &ping->ttl) && ping->ttl > 0;
	case 'W':
		return parse_seconds(arg, &ping->wait_us);
	case APP_ARGUMENT:
		if (ping->host)
			return false;
		ping->host = arg;
		return true;
	default:
		return false;
	}
}

/* ---- Messages. ---- */

static void send_request(struct ping *ping)
{
	uint16_t seq = (uint16_t)(ping->sent + 1);

	memset(ping->buf, 0, HDR_SIZE);
	for (size_t i = 0; i < ping->size; i++)
		ping->buf[HDR_SIZE + i] = (uint8_t)i;
	ping->buf[0] =
		ping->is_v6 ? 128 : 8; /* echo request; the socket adds identifier and checksum */
	ping->buf[6] = (uint8_t)(seq >> 8);
	ping->buf[7] = (uint8_t)seq;
	ping->sent_at[seq] = now_us();
	ping->sent++;
	if (ping->app->ops->write(ping->fd, ping->buf, HDR_SIZE + ping->size) < 0) {
		ping->errors++;
		app_say_error(ping->app, "send", errno);
	}
}

/* The TTL that the message came with; -1 when nobody tells. */
static int ttl_of(struct msghdr *hdr)
{
	int ttl = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT))
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
	}
	return ttl;
}

static bool is_as_sent(const struct ping *ping, ssize_t size)
{
	if ((uint64_t)size != HDR_SIZE + ping->size)
		return false;
	for (size_t i = 0; i < ping->size; i++)
		if (ping->buf[HDR_SIZE + i] != (uint8_t)i)
			return false;
	return true;
}

static void count_reply(struct ping *ping, double ms)
{
	ping->received++;
	ping->sum_ms += ms;
	ping->sum2_ms += ms * ms;
	if (ping->received == 1 || ms < ping->min_ms)
		ping->min_ms = ms;
	if (ms > ping->max_ms)
		ping->max_ms = ms;
}

static void take_reply(struct ping *ping, ssize_t size, int ttl)
{
	uint16_t seq = (uint16_t)(ping->buf[6] << 8 | ping->buf[7]);
	int64_t sent_at = ping->sent_at[seq];
	double ms = (double)(now_us() - sent_at) / 1e3;

	if (size < HDR_SIZE)
		return;
	ping->sent_at[seq] = 0;
	if (sent_at == 0) {
		ping->doubled++;
		(void)printf("%zd bytes from %s: icmp_seq=%u (DUP!)\n", size, ping->name, seq);
		return;
	}
	count_reply(ping, ms);
	(void)printf("%zd bytes from %s: icmp_seq=%u ttl=%d time=%.3f ms%s\n", size, ping->name,
		     seq, ttl, ms, is_as_sent(ping, size) ? "" : " (wrong data!)");
}

static void set_timeout(struct ping *ping, int64_t us)
{
	const struct timeval tv = {.tv_sec = us / US, .tv_usec = us % US};

	(void)ping->app->ops->setsockopt(ping->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

static bool is_stopped(struct ping *ping)
{
	return __atomic_load_n(&ping->is_stopped, __ATOMIC_RELAXED);
}

/* One reply or error, until 'deadline'; false when the time is up. */
static bool receive(struct ping *ping, int64_t deadline)
{
	int64_t left = deadline - now_us();
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct iovec iov = {ping->buf, sizeof(ping->buf)};
	struct msghdr hdr = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};

	if (left <= 0 || is_stopped(ping))
		return false;
	set_timeout(ping, left);
	ssize_t size =
		ping->app->is_kernel ? recvmsg(ping->fd, &hdr, 0) : weft_recvmsg(ping->fd, &hdr, 0);
	if (size > 0) {
		take_reply(ping, size, ttl_of(&hdr));
		return true;
	}
	if (size == 0 || errno == EAGAIN)
		return false;
	ping->errors++;
	(void)printf("From the network about %s: %s\n", ping->name, strerror(errno));
	return true;
}

/* ---- The run. ---- */

static void send_and_receive(struct ping *ping)
{
	int64_t next = now_us();
	bool is_flood = ping->interval_us == 0;

	while (!is_stopped(ping) && (ping->count == 0 || ping->sent < ping->count)) {
		send_request(ping);
		if (ping->sent == ping->count)
			break;
		next += is_flood ? FLOOD_US : ping->interval_us;
		while (receive(ping, next) && !is_flood)
			continue;
		if (is_flood)
			next = now_us();
	}
	/* The last ones. */
	next = now_us() + ping->wait_us;
	while (ping->received + ping->errors < ping->sent && receive(ping, next))
		continue;
}

static void report(const struct ping *ping, int64_t time_us)
{
	uint64_t lost = ping->sent - (ping->received < ping->sent ? ping->received : ping->sent);

	(void)printf("\n--- %s ping statistics ---\n%" PRIu64 " packets transmitted, %" PRIu64
		     " received, ",
		     ping->host, ping->sent, ping->received);
	if (ping->doubled > 0)
		(void)printf("+%" PRIu64 " duplicates, ", ping->doubled);
	if (ping->errors > 0)
		(void)printf("+%" PRIu64 " errors, ", ping->errors);
	(void)printf("%" PRIu64 "%% packet loss, time %" PRId64 "ms\n",
		     ping->sent ? lost * 100 / ping->sent : 0, time_us / 1000);
	if (ping->received == 0)
		return;
	double mean = ping->sum_ms / (double)ping->received;
	double variance = ping->sum2_ms / (double)ping->received - mean * mean;

	(void)printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", ping->min_ms, mean,
		     ping->max_ms, variance > 0 ? sqrt(variance) : 0);
}

static void on_signal(void *ctx)
{
	struct ping *ping = ctx;

	__atomic_store_n(&ping->is_stopped, true, __ATOMIC_RELAXED);
	(void)ping->app->ops->shutdown(ping->fd, SHUT_RD);
}

/* A socket to that address; 0, or -1 after a line on stderr. */
static int open_socket(struct ping *ping, const struct sockaddr_storage *addr, socklen_t len)
{
	const struct net_ops *ops = ping->app->ops;

	ping->is_v6 = addr->ss_family == AF_INET6;
	(void)net_addr_text((const struct sockaddr *)addr, ping->name);
	/* Without the port. */
	*strrchr(ping->name, ':') = '\0';
	ping->fd = ops->socket(addr->ss_family, SOCK_DGRAM,
			       ping->is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (ping->fd < 0) {
		app_say_error(ping->app, "socket", errno);
		return -1;
	}
	(void)net_set_int(ops, ping->fd, ping->is_v6 ? IPPROTO_IPV6 : IPPROTO_IP,
			  ping->is_v6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL, 1);
	if (ping->ttl > 0)
		(void)net_set_int(ops, ping->fd, ping->is_v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				  ping->is_v6 ? IPV6_UNICAST_HOPS : IP_TTL, (int)ping->ttl);
	if (ops->connect(ping->fd, (const struct sockaddr *)addr, len) == 0)
		return 0;
	app_say_error(ping->app, ping->name, errno);
	(void)ops->close(ping->fd);
	return -1;
}

/* To the first address that there is a way to. */
static int open_any(struct ping *ping)
{
	struct app_addrs addrs;
	int rc = -1;

	if (app_resolve(ping->app, ping->host, 0, &addrs) < 0)
		return -1;
	for (unsigned i = 0; i < addrs.count && rc < 0; i++)
		rc = open_socket(ping, &addrs.addr[i], addrs.len[i]);
	return rc;
}

static int run(struct ping *ping)
{
	int64_t start = now_us();

	if (open_any(ping) < 0)
		return -1;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)printf("PING %s (%s) %" PRIu64 " bytes of data.\n", ping->host, ping->name,
		     ping->size);
	if (app_signals_start(ping->app, on_signal, ping) < 0)
		return -1;
	send_and_receive(ping);
	app_signals_end(ping->app);
	report(ping, now_us() - start);
	(void)ping->app->ops->close(ping->fd);
	return ping->received > 0 ? 0 : -1;
}

static const char usage[] =
	"Usage: weft-ping --addr A/PLEN --peer A [options] HOST\n"
	"Sends ICMP echo requests and says what comes back.\n"
	"\n"
	"  -c N                stop after N requests\n"
	"  -i SECONDS          between requests; 1; 0: when the reply has come\n"
	"  -s BYTES            of data in a request; 56\n"
	"  -t TTL              hops that a request may take\n"
	"  -W SECONDS          wait for the last replies; 10\n";

int main(int argc, char **argv)
{
	static struct ping ping = {.interval_us = US, .size = 56, .wait_us = (int64_t)10 * US};
	struct app app = {
		.name = "weft-ping",
		.usage = usage,
		.option = take_option,
		.ctx = &ping,
	};

	ping.app = &app;
	app_parse(&app, argc, argv);
	if (!ping.host)
		app_usage_error(&app, "no host given; try --help");
	if (app_open(&app) < 0)
		return EXIT_FAILED;
	int rc = run(&ping);
	app_close(&app);
	return rc == 0 ? 0 : EXIT_FAILED;
}
