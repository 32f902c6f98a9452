/*
 * ICMP errors about a connection's segments, and about a SYN: what each call says, with IP_RECVERR and without.
 *
 * One side is the kernel in every bed but 'pair', which has none of this.  Its IP_MINTTL makes it deaf, so that
 * what the other side, the victim, sends stays in flight; raw sockets see that and send the errors.  Not
 * asked about: that a reassembly took too long, which Linux keeps from the transport (RFC 1122 3.2.2.4).
 */
#include "diff.h"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <unistd.h>

enum { QUOTED_SIZE = 20 + 8, ICMP_SIZE = 8, NR_UNKNOWN = 16 };

static enum side victim, deaf;
static int raw_tcp, raw_icmp;

static const struct error {
	const char *name;
	uint8_t type, code;
	uint16_t mtu;
	bool is_ignored;
} errors[] = {
	{"port", ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, false},
	{"protocol", ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0, false},
	{"host", ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, false},
	{"net", ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0, false},
	{"source_route", ICMP_DEST_UNREACH, ICMP_SR_FAILED, 0, false},
	{"host_unknown", ICMP_DEST_UNREACH, ICMP_HOST_UNKNOWN, 0, false},
	{"net_prohibited", ICMP_DEST_UNREACH, ICMP_NET_ANO, 0, false},
	{"host_prohibited", ICMP_DEST_UNREACH, ICMP_HOST_ANO, 0, false},
	{"filtered", ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, 0, false},
	{"precedence", ICMP_DEST_UNREACH, ICMP_PREC_CUTOFF, 0, false},
	{"ttl", ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0, false},
	{"parameter", ICMP_PARAMETERPROB, 0, 0, false},
	{"too_big", ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1000, true},
	{"unknown_code", ICMP_DEST_UNREACH, NR_UNKNOWN, 0, true},
	{"quench", ICMP_SOURCE_QUENCH, 0, 0, true},
};

enum { ERRORS = sizeof(errors) / sizeof(errors[0]), TTL = 10 };

static uint16_t checksum(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The error about the packet that 'quoted' begins. */
static void inject(const struct error *e, const uint8_t quoted[QUOTED_SIZE])
{
	struct sockaddr_in to = addr4_of(victim, 0);
	uint8_t msg[ICMP_SIZE + QUOTED_SIZE] = {e->type, e->code};

	msg[6] = (uint8_t)(e->mtu >> 8);
	msg[7] = (uint8_t)e->mtu;
	memcpy(msg + ICMP_SIZE, quoted, QUOTED_SIZE);
	uint16_t sum = checksum(msg, sizeof(msg));

	msg[2] = (uint8_t)(sum >> 8);
	msg[3] = (uint8_t)sum;
	if (sendto(raw_icmp, msg, sizeof(msg), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		say("inject", -1);
}

/* The head of the next segment from 'port' with what 'flags' asks for (SYN), or with data. */
static void see(uint16_t port, bool is_syn, uint8_t quoted[QUOTED_SIZE])
{
	uint8_t pkt[2048];
	ssize_t n;

	while ((n = recv(raw_tcp, pkt, sizeof(pkt), 0)) >= 40) {
		const uint8_t *tcp = pkt + 20;
		bool has_data = n > 20 + (tcp[12] >> 4) * 4;

		if ((tcp[0] << 8 | tcp[1]) != port || (is_syn ? !(tcp[13] & 2) : !has_data))
			continue;
		memcpy(quoted, pkt, QUOTED_SIZE);
		return;
	}
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in in = {0};
	socklen_t len = sizeof(in);

	(void)x_getsockname(fd, (struct sockaddr *)&in, &len);
	return ntohs(in.sin_port);
}

/* SO_ERROR, for which it waits some time. */
static int wait_error(int fd)
{
	enum { TRIES = 2000 };

	int error = 0;

	for (int i = 0; i < TRIES && (error = so_error(fd)) == 0; i++)
		(void)x_poll(victim, NULL, 0, 1);
	return error;
}

static ssize_t recv_queued(int fd)
{
	char data[128], control[256];
	struct iovec iov = {data, sizeof(data)};
	struct msghdr hdr = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = x_recvmsg(fd, &hdr, MSG_ERRQUEUE);

	return n > 0 ? 1 : n; /* how much is quoted is for who quotes */
}

static int listener_of(uint16_t *port)
{
	int fd = x_socket(deaf, AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in in = addr4_of(deaf, *port = fresh_port());

	(void)x_bind(fd, (struct sockaddr *)&in, sizeof(in));
	(void)x_listen(fd, 1);
	return fd;
}

static void connected(const struct error *e, bool recverr)
{
	const struct linger at_once = {1, 0};
	uint8_t quoted[QUOTED_SIZE] = {0};
	char byte;
	uint16_t port;
	int listener = listener_of(&port), fd = tcp4(victim);

	set_int(fd, IPPROTO_IP, IP_RECVERR, recverr);
	(void)connect4(fd, addr4_of(deaf, port));
	int peer = x_accept(listener, NULL, NULL);

	set_int(peer, IPPROTO_IP, IP_MINTTL, 255);
	(void)x_send(fd, "x", 1, 0);
	see(port_of(fd), false, quoted);
	inject(e, quoted);
	if (e->is_ignored)
		inject(&errors[TTL], quoted);
	if (recverr) {
		wait_for(victim, fd, POLLERR);
		say("recv", x_recv(fd, &byte, 1, MSG_DONTWAIT));
		say("recv_again", x_recv(fd, &byte, 1, MSG_DONTWAIT));
		inject(e, quoted);
		if (e->is_ignored)
			inject(&errors[TTL], quoted);
		wait_for(victim, fd, POLLERR);
		say("queue", recv_queued(fd));
		say("send", x_send(fd, "y", 1, MSG_NOSIGNAL));
	} else {
		say_value("error", wait_error(fd));
		say("queue", recv_queued(fd));
		say("recv", x_recv(fd, &byte, 1, MSG_DONTWAIT));
	}
	say_value("then", so_error(fd));
	say("goes_on", x_send(fd, "y", 1, MSG_NOSIGNAL));
	(void)x_setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)x_close(fd);
	(void)x_close(peer);
	(void)x_close(listener);
}

/* An attempt to connect. */
static void connecting(const struct error *e, bool recverr)
{
	uint8_t quoted[QUOTED_SIZE] = {0};
	uint16_t port;
	int listener = listener_of(&port), fd = tcp4(victim);

	set_int(listener, IPPROTO_IP, IP_MINTTL, 255);
	set_int(fd, IPPROTO_IP, IP_RECVERR, recverr);
	(void)x_fcntl(fd, F_SETFL, O_NONBLOCK);
	(void)connect4(fd, addr4_of(deaf, port));
	see(port_of(fd), true, quoted);
	inject(e, quoted);
	say_value("error", wait_error(fd));
	say("queue", recv_queued(fd));
	say("send", x_send(fd, "y", 1, MSG_NOSIGNAL));
	(void)x_close(fd);
	(void)x_close(listener);
}

void topic_errors(void)
{
	victim = stack_of(SERVER) ? SERVER : CLIENT;
	deaf = victim == SERVER ? CLIENT : SERVER;
	if (stack_of(deaf) || geteuid() != 0)
		return;
	raw_tcp = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	raw_icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	for (int i = 0; i < 2 * ERRORS; i++) {
		const struct error *e = &errors[i / 2];
		char prefix[64];
		bool recverr = i & 1;

		(void)snprintf(prefix, sizeof(prefix), "%s%s", e->name, recverr ? "_told" : "");
		say_prefix(prefix);
		connected(e, recverr);
		if (e->is_ignored)
			continue;
		(void)snprintf(prefix, sizeof(prefix), "syn_%s%s", e->name, recverr ? "_told" : "");
		say_prefix(prefix);
		connecting(e, recverr);
	}
	(void)close(raw_tcp);
	(void)close(raw_icmp);
}
