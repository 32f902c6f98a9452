/* What user-space stacks get wrong: names in each state, handles of one socket, short options, odd messages. */
#include "diff.h"

#include <limits.h>
#include <stdio.h>
#include <sys/time.h>

static const struct linger at_once = {1, 0};

static void patience(int fd, int ms)
{
	const struct timeval limit = {.tv_usec = ms * 1000};

	(void)x_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)x_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/* ---- Each call in each state. ---- */

/* What the name tells: an address, a port. */
static void say_name(const char *name, int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_in in = {0};
	socklen_t len = sizeof(in);
	int rc = get(fd, (struct sockaddr *)&in, &len);

	say_with(name, rc, (in.sin_addr.s_addr != 0 ? 2 : 0) + (in.sin_port != 0 ? 1 : 0));
}

static void look(const char *state, int fd)
{
	char byte = 0;

	say_prefix(state);
	say_name("name", fd, x_getsockname);
	say_name("peer", fd, x_getpeername);
	say("recv", x_recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK));
	say("recv_oob", x_recv(fd, &byte, 1, MSG_OOB | MSG_DONTWAIT));
	say("accept", x_accept(fd, NULL, NULL));
	say("send_0", x_send(fd, &byte, 0, MSG_DONTWAIT | MSG_NOSIGNAL));
	say_value("error", so_error(fd));
}

static void before(void)
{
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());
	int fd = tcp4(SERVER);

	(void)x_fcntl(fd, F_SETFL, O_NONBLOCK);
	look("fresh", fd);
	(void)x_bind(fd, (struct sockaddr *)&in, sizeof(in));
	look("bound", fd);
	say("bind_again", x_bind(fd, (struct sockaddr *)&in, sizeof(in)));
	(void)x_listen(fd, 1);
	look("listening", fd);
	say("backlog", x_listen(fd, 7));
	say("shut_wr", x_shutdown(fd, SHUT_WR));
	look("listening_shut_wr", fd);
	say("shut", x_shutdown(fd, SHUT_RDWR));
	look("listening_shut", fd);
	(void)x_close(fd);

	/* Somebody who does not answer: a listener whose queue is full. */
	enum { MANY = 8 };

	uint16_t port;
	int n = 0, fds[MANY], listener = make_listener(&port, 0);
	struct pollfd p = {.events = POLLOUT};

	do {
		p.fd = fds[n++] = tcp4(CLIENT);
		(void)x_fcntl(p.fd, F_SETFL, O_NONBLOCK);
		(void)connect4(p.fd, addr4_of(SERVER, port));
	} while (n < MANY && x_poll(CLIENT, &p, 1, 50) == 1);
	look("connecting", p.fd);
	say("again", connect4(p.fd, addr4_of(SERVER, port)));
	say("listen", x_listen(p.fd, 1));
	in = addr4_of(CLIENT, fresh_port());
	say("bind", x_bind(p.fd, (struct sockaddr *)&in, sizeof(in)));
	say("send", x_send(p.fd, "x", 1, MSG_NOSIGNAL));
	(void)x_close(listener);
	while (n > 0)
		(void)x_close(fds[--n]);
}

static void after(void)
{
	int fd[SIDES];

	make_connection(fd);
	(void)x_fcntl(fd[CLIENT], F_SETFL, O_NONBLOCK);
	look("connected", fd[CLIENT]);
	say("again", connect4(fd[CLIENT], addr4_of(SERVER, 9)));
	say("listen", x_listen(fd[CLIENT], 1));
	(void)x_shutdown(fd[CLIENT], SHUT_RD);
	look("shut_rd", fd[CLIENT]);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	wait_for(SERVER, fd[SERVER], POLLRDHUP);
	look("shut_both", fd[CLIENT]);
	look("peer_shut", fd[SERVER]);
	say("shut_again", x_shutdown(fd[CLIENT], SHUT_RDWR));
	(void)x_shutdown(fd[SERVER], SHUT_WR);
	say("send", x_send(fd[SERVER], "x", 1, MSG_NOSIGNAL));
	close_both(fd);
	make_connection(fd);
	(void)x_fcntl(fd[SERVER], F_SETFL, O_NONBLOCK);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)x_close(fd[CLIENT]);
	wait_for(SERVER, fd[SERVER], POLLHUP);
	say("null_name", x_getpeername(fd[SERVER], NULL, NULL));
	look("reset", fd[SERVER]);
	look("reset_told", fd[SERVER]);
	say("listen", x_listen(fd[SERVER], 1));
	say("shut", x_shutdown(fd[SERVER], SHUT_RD));
	say("connect", connect4(fd[SERVER], addr4_of(CLIENT, fresh_port())));
	(void)x_close(fd[SERVER]);
}

/* ---- Ends. ---- */

static void ends(void)
{
	int fd[SIDES], got;
	uint16_t port;
	char buf[8];

	say_prefix("linger_0_unread");
	make_connection(fd);
	(void)x_send(fd[CLIENT], "abc", 3, 0);
	wait_readable(fd[SERVER]);
	(void)x_send(fd[SERVER], "xyz", 3, 0);
	wait_readable(fd[CLIENT]);
	(void)x_setsockopt(fd[SERVER], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	say("close", x_close(fd[SERVER]));
	wait_for(CLIENT, fd[CLIENT], POLLHUP);
	say("recv", x_recv(fd[CLIENT], buf, 2, 0));
	say("recv_rest", x_recv(fd[CLIENT], buf, 8, 0));
	say("recv_error", x_recv(fd[CLIENT], buf, 8, 0));
	say("recv_end", x_recv(fd[CLIENT], buf, 8, 0));
	(void)x_close(fd[CLIENT]);
	say_prefix("half");
	make_connection(fd);
	patience(fd[CLIENT], 20);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	say("timeout", x_recv(fd[CLIENT], buf, 8, 0));
	(void)x_send(fd[SERVER], "ab", 2, 0);
	say("waitall_timeout", x_recv(fd[CLIENT], buf, 8, MSG_WAITALL));
	(void)x_send(fd[SERVER], "cd", 2, 0);
	(void)x_shutdown(fd[SERVER], SHUT_WR);
	say("waitall_end", x_recv(fd[CLIENT], buf, 8, MSG_WAITALL));
	say("end", x_recv(fd[CLIENT], buf, 8, MSG_WAITALL));
	close_both(fd);
	say_prefix("pending");
	int listener = make_listener(&port, 5), client = tcp4(CLIENT);
	(void)connect4(client, addr4_of(SERVER, port));
	wait_for(SERVER, listener, POLLIN);
	say("close", x_close(listener));
	wait_for(CLIENT, client, POLLHUP);
	say("recv", x_recv(client, buf, 1, 0));
	(void)x_close(client);
	listener = make_listener(&port, 5);
	client = tcp4(CLIENT);
	(void)connect4(client, addr4_of(SERVER, port));
	(void)x_send(client, "abc", 3, 0);
	wait_for(SERVER, listener, POLLIN);
	(void)x_setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)x_close(client);
	got = x_accept(listener, NULL, NULL);
	say("accept_reset", got < 0 ? -1 : 0);
	wait_for(SERVER, got, POLLHUP);
	say("reset_data", x_recv(got, buf, 8, 0));
	say("reset_error", x_recv(got, buf, 8, 0));
	(void)x_close(got);
	(void)x_close(listener);
}

/* ---- Handles of one socket. ---- */

static int wait_set(int ep, uint64_t *data)
{
	struct epoll_event e = {0};
	int n = x_epoll_wait(ep, &e, 1, 0);

	*data = e.data.u64;
	return n;
}

static void handles(void)
{
	int fd[SIDES];
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 1},
			   f = {.events = EPOLLOUT, .data.u64 = 2};
	uint64_t data;

	say_prefix("handles");
	make_connection(fd);
	int ep = x_epoll_create1(SERVER, 0), other = x_dup(fd[SERVER]);
	say("add", x_epoll_ctl(ep, EPOLL_CTL_ADD, fd[SERVER], &e));
	say("add_dup", x_epoll_ctl(ep, EPOLL_CTL_ADD, other, &f));
	say("del_dup", x_epoll_ctl(ep, EPOLL_CTL_DEL, other, NULL));
	(void)x_fcntl(other, F_SETFL, O_NONBLOCK);
	say_value("nonblock", x_fcntl(fd[SERVER], F_GETFL, 0) & O_NONBLOCK);
	set_int(other, SOL_SOCKET, SO_RCVLOWAT, 3);
	int low = 0;
	socklen_t len = sizeof(low);
	(void)x_getsockopt(fd[SERVER], SOL_SOCKET, SO_RCVLOWAT, &low, &len);
	say_value("lowat", low);
	(void)x_close(fd[SERVER]);
	say("none", wait_set(ep, &data));
	(void)x_send(fd[CLIENT], "abc", 3, 0);
	wait_for(SERVER, other, POLLIN);
	say("still_told", wait_set(ep, &data));
	say_value("of_the_closed", (long)data);
	say("del_closed", x_epoll_ctl(ep, EPOLL_CTL_DEL, fd[SERVER], NULL));
	say("mod_dup", x_epoll_ctl(ep, EPOLL_CTL_MOD, other, &f));
	(void)x_shutdown(other, SHUT_RDWR);
	say("shut", wait_set(ep, &data));
	(void)x_close(other);
	say("gone", wait_set(ep, &data));
	(void)x_close(fd[CLIENT]);
	(void)x_close(ep);
	make_connection(fd);
	struct pollfd p[3] = {{.fd = fd[SERVER], .events = POLLIN},
			      {.fd = fd[SERVER], .events = POLLOUT},
			      {.fd = fd[SERVER]}};
	say("poll_thrice", x_poll(SERVER, p, 3, 0));
	say_value("poll_first", p[0].revents);
	say_value("poll_second", p[1].revents);
	say_value("poll_third", p[2].revents);
	close_both(fd);
}

/* ---- Lengths. ---- */

static void get_short(const char *name, int fd, int level, int option, socklen_t len)
{
	unsigned char value[512];

	memset(value, 0x5a, sizeof(value));
	int rc = x_getsockopt(fd, level, option, value, &len);

	say_with(name, rc, (long)len * 1000 + value[0]);
}

static void set_short(const char *name, int fd, int level, int option, socklen_t len)
{
	unsigned char value[8] = {7};

	say(name, x_setsockopt(fd, level, option, value, len));
}

static void lengths(void)
{
	int fd = tcp4(SERVER);

	say_prefix("lengths");
	get_short("linger_4", fd, SOL_SOCKET, SO_LINGER, 4);
	get_short("linger_0", fd, SOL_SOCKET, SO_LINGER, 0);
	get_short("type_1", fd, SOL_SOCKET, SO_TYPE, 1);
	get_short("error_3", fd, SOL_SOCKET, SO_ERROR, 3);
	get_short("rcvtimeo_8", fd, SOL_SOCKET, SO_RCVTIMEO, 8);
	get_short("nodelay_1", fd, IPPROTO_TCP, TCP_NODELAY, 1);
	get_short("nodelay_0", fd, IPPROTO_TCP, TCP_NODELAY, 0);
	get_short("nodelay_9", fd, IPPROTO_TCP, TCP_NODELAY, 9);
	get_short("info_1", fd, IPPROTO_TCP, TCP_INFO, 1);
	get_short("congestion_0", fd, IPPROTO_TCP, TCP_CONGESTION, 0);
	get_short("ttl_1", fd, IPPROTO_IP, IP_TTL, 1);
	get_short("ttl_2", fd, IPPROTO_IP, IP_TTL, 2);
	get_short("ttl_0", fd, IPPROTO_IP, IP_TTL, 0);
	get_short("tos_1", fd, IPPROTO_IP, IP_TOS, 1);
	get_short("recverr_1", fd, IPPROTO_IP, IP_RECVERR, 1);
	set_short("set_ttl_1", fd, IPPROTO_IP, IP_TTL, 1);
	set_short("set_ttl_2", fd, IPPROTO_IP, IP_TTL, 2);
	set_short("set_recverr_1", fd, IPPROTO_IP, IP_RECVERR, 1);
	set_short("set_nodelay_3", fd, IPPROTO_TCP, TCP_NODELAY, 3);
	set_short("set_nodelay_8", fd, IPPROTO_TCP, TCP_NODELAY, 8);
	set_short("set_linger_7", fd, SOL_SOCKET, SO_LINGER, 7);
	set_short("set_rcvtimeo_8", fd, SOL_SOCKET, SO_RCVTIMEO, 8);
	set_short("set_reuseaddr_2", fd, SOL_SOCKET, SO_REUSEADDR, 2);
	(void)x_close(fd);
	fd = x_socket(SERVER, AF_INET6, SOCK_STREAM, 0);
	get_short("hops_1", fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 1);
	get_short("v6only_2", fd, IPPROTO_IPV6, IPV6_V6ONLY, 2);
	set_short("set_v6only_1", fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	set_short("set_hops_3", fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 3);
	(void)x_close(fd);
}

/* ---- Messages. ---- */

static void messages(const char *prefix, int from, int to, bool is_datagram)
{
	static struct iovec many[IOV_MAX + 1];
	struct sockaddr_in in = {0};
	char buf[8];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr hdr = {0};

	say_prefix(prefix);
	say("no_parts", x_sendmsg(from, &hdr, MSG_DONTWAIT));
	if (is_datagram)
		wait_for(SERVER, to, POLLIN); /* an empty one */
	say("recv_no_parts", x_recvmsg(to, &hdr, MSG_DONTWAIT));
	hdr.msg_iovlen = 1;
	say("null_parts", x_sendmsg(from, &hdr, MSG_DONTWAIT));
	say("recv_null_parts", x_recvmsg(to, &hdr, MSG_DONTWAIT));
	hdr = (struct msghdr){.msg_iov = many, .msg_iovlen = IOV_MAX + 1};
	say("many", x_sendmsg(from, &hdr, MSG_DONTWAIT));
	say("recv_many", x_recvmsg(to, &hdr, MSG_DONTWAIT));
	hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1, .msg_controllen = 20};
	say("null_control", x_sendmsg(from, &hdr, MSG_DONTWAIT));
	hdr.msg_controllen = 0;
	hdr.msg_name = &in;
	hdr.msg_namelen = (socklen_t)-1;
	say("negative_name", x_sendmsg(from, &hdr, MSG_DONTWAIT));
	say("recv_negative_name", x_recvmsg(to, &hdr, MSG_DONTWAIT));
	say("null_header", x_sendmsg(from, NULL, MSG_DONTWAIT));
	say("recv_null_header", x_recvmsg(to, NULL, MSG_DONTWAIT));
	hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1, .msg_flags = -1};
	iov.iov_len = 3;
	say("send", x_sendmsg(from, &hdr, MSG_DONTWAIT));
	hdr.msg_name = &in;
	hdr.msg_namelen = sizeof(in);
	hdr.msg_controllen = 0;
	say("recv", x_recvmsg(to, &hdr, MSG_WAITALL));
	say_value("recv_flags", hdr.msg_flags);
	say_value("recv_name_len", (long)hdr.msg_namelen);
	say("send_unknown_flag", x_send(from, "x", 1, 1 << 28));
	(void)x_send(from, "y", 1, 0);
	say("recv_unknown_flag", x_recv(to, buf, 1, 1 << 28));
	say("sendto_too_long", x_sendto(from, "x", 1, 0, (struct sockaddr *)&in, 129));
	say("sendto_negative", x_sendto(from, "x", 1, 0, (struct sockaddr *)&in, (socklen_t)-1));
}

static void all_messages(void)
{
	int fd[SIDES];
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());

	make_connection(fd);
	patience(fd[SERVER], 500);
	messages("stream", fd[CLIENT], fd[SERVER], false);
	close_both(fd);
	fd[SERVER] = x_socket(SERVER, AF_INET, SOCK_DGRAM, 0);
	fd[CLIENT] = x_socket(CLIENT, AF_INET, SOCK_DGRAM, 0);
	(void)x_bind(fd[SERVER], (struct sockaddr *)&in, sizeof(in));
	(void)connect4(fd[CLIENT], in);
	patience(fd[SERVER], 500);
	messages("datagram", fd[CLIENT], fd[SERVER], true);
	close_both(fd);
}

/* ---- Where to. ---- */

static void destinations(void)
{
	int fd = tcp4(CLIENT);
	uint16_t port = fresh_port();
	struct sockaddr_in own = addr4_of(CLIENT, port), any = {.sin_family = AF_INET};
	char byte = 0;

	say_prefix("to");
	(void)x_bind(fd, (struct sockaddr *)&own, sizeof(own));
	say("self", connect4(fd, own));
	say("self_send", x_send(fd, "x", 1, MSG_NOSIGNAL));
	patience(fd, 500);
	say("self_recv", x_recv(fd, &byte, 1, 0));
	(void)x_setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)x_close(fd);
	int listener = tcp4(CLIENT);
	any.sin_port = htons(port = fresh_port());
	(void)x_bind(listener, (struct sockaddr *)&any, sizeof(any));
	(void)x_listen(listener, 1);
	fd = tcp4(CLIENT);
	say("any", connect4(fd, any));
	say_name("any_name", fd, x_getsockname);
	say_name("any_peer", fd, x_getpeername);
	(void)x_close(fd);
	(void)x_close(listener);
}

void topic_traps(void)
{
	before();
	after();
	ends();
	handles();
	lengths();
	all_messages();
	destinations();
}
