/* socket(): families, types, protocols, flags; what every call does with a bad handle. */
#include "diff.h"

#include <stdio.h>

static void try_socket(const char *name, int domain, int type, int protocol)
{
	for (int side = SERVER; side == SERVER; side++) {
		int fd = x_socket((enum side)side, domain, type, protocol);

		say(name, fd < 0 ? -1 : 0);
		if (fd >= 0)
			(void)x_close(fd);
	}
}

static void kinds(void)
{
	say_prefix("kinds");
	try_socket("inet_stream", AF_INET, SOCK_STREAM, 0);
	try_socket("inet6_stream", AF_INET6, SOCK_STREAM, 0);
	try_socket("inet_stream_tcp", AF_INET, SOCK_STREAM, IPPROTO_TCP);
	try_socket("inet6_stream_tcp", AF_INET6, SOCK_STREAM, IPPROTO_TCP);
	try_socket("nonblock", AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	try_socket("cloexec", AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	try_socket("both_flags", AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	try_socket("stream_udp", AF_INET, SOCK_STREAM, IPPROTO_UDP);
	try_socket("stream_icmp", AF_INET, SOCK_STREAM, IPPROTO_ICMP);
	try_socket("dgram_tcp", AF_INET, SOCK_DGRAM, IPPROTO_TCP);
	try_socket("seqpacket", AF_INET, SOCK_SEQPACKET, 0);
	try_socket("rdm", AF_INET, SOCK_RDM, 0);
	try_socket("no_family", AF_UNSPEC, SOCK_STREAM, 0);
	try_socket("negative_family", -1, SOCK_STREAM, 0);
	try_socket("large_family", 4096, SOCK_STREAM, 0);
	try_socket("type_0", AF_INET, 0, 0);
	try_socket("type_9", AF_INET, 9, 0);
	try_socket("type_11", AF_INET, 11, 0);
	try_socket("type_15", AF_INET, 15, 0);
	try_socket("negative_type", AF_INET, -1, 0);
	try_socket("unknown_flag", AF_INET, SOCK_STREAM | 0x100000, 0);
	try_socket("negative_protocol", AF_INET, SOCK_STREAM, -1);
	try_socket("protocol_250", AF_INET, SOCK_STREAM, 250);
	try_socket("large_protocol", AF_INET, SOCK_STREAM, 100000);
}

/* Every call on a handle that is not open. */
static void bad_handles(const char *prefix, int fd)
{
	struct sockaddr_in in = addr4_of(SERVER, 1);
	socklen_t len = sizeof(in);
	char byte = 0;
	struct iovec iov = {&byte, 1};
	int on = 1;

	say_prefix(prefix);
	say("bind", x_bind(fd, (struct sockaddr *)&in, sizeof(in)));
	say("listen", x_listen(fd, 1));
	say("accept", x_accept(fd, NULL, NULL));
	say("accept4", x_accept4(fd, NULL, NULL, 0));
	say("accept4_flags", x_accept4(fd, NULL, NULL, 1 << 20));
	say("connect", x_connect(fd, (struct sockaddr *)&in, sizeof(in)));
	say("connect_null", x_connect(fd, NULL, 0));
	say("read", x_read(fd, &byte, 1));
	say("readv", x_readv(fd, &iov, 1));
	say("recv", x_recv(fd, &byte, 1, 0));
	say("recvfrom", x_recvfrom(fd, &byte, 1, 0, NULL, NULL));
	say("write", x_write(fd, &byte, 1));
	say("writev", x_writev(fd, &iov, 1));
	say("send", x_send(fd, &byte, 1, 0));
	say("sendto", x_sendto(fd, &byte, 1, 0, (struct sockaddr *)&in, sizeof(in)));
	say("shutdown", x_shutdown(fd, SHUT_RDWR));
	say("shutdown_how", x_shutdown(fd, 77));
	say("close", x_close(fd));
	say("getsockname", x_getsockname(fd, (struct sockaddr *)&in, &len));
	say("getpeername", x_getpeername(fd, (struct sockaddr *)&in, &len));
	say("setsockopt", x_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	say("getsockopt", x_getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &len));
	say("getfl", x_fcntl(fd, F_GETFL, 0));
	say("setfl", x_fcntl(fd, F_SETFL, 0));
}

void topic_socket(void)
{
	kinds();
	bad_handles("closed", closed_fd(SERVER));
	bad_handles("negative", -1);
}
