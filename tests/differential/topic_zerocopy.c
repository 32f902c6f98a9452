/* Sends by reference: what is accepted, which calls are completed, and how that is told. */
#include "diff.h"

#include <linux/errqueue.h>
#include <stdlib.h>

enum { SIZE = 20000, LARGE = 400000 };

static char bytes[LARGE];

static void set_and_get(const char *name, int fd, int value)
{
	int back = -77;
	socklen_t len = sizeof(back);
	int rc = x_setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &value, sizeof(value));

	(void)x_getsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &back, &len);
	say_with(name, rc, back);
}

static void option(void)
{
	uint16_t port;
	int fd = tcp4(CLIENT);

	say_prefix("option");
	set_and_get("on", fd, 1);
	set_and_get("off", fd, 0);
	set_and_get("two", fd, 2);
	set_and_get("negative", fd, -1);
	say("unconnected", x_send(fd, bytes, SIZE, MSG_ZEROCOPY | MSG_NOSIGNAL));
	(void)x_close(fd);
	fd = x_socket(CLIENT, AF_INET, SOCK_DGRAM, 0);
	set_and_get("datagram", fd, 1);
	(void)x_close(fd);
	int listener = make_listener(&port, 1);
	set_and_get("listener", listener, 1);
	fd = tcp4(CLIENT);
	(void)connect4(fd, addr4_of(SERVER, port));
	int child = x_accept(listener, NULL, NULL), back = -77;
	socklen_t len = sizeof(back);
	say_with("child", x_getsockopt(child, SOL_SOCKET, SO_ZEROCOPY, &back, &len), back);
	(void)x_close(child);
	(void)x_close(fd);
	(void)x_close(listener);
}

/* An entry of the error queue. */
struct done {
	ssize_t rc;
	int flags;
	socklen_t name_len;
	struct sock_extended_err ee;
};

static struct done next_done(int fd, size_t control_size)
{
	_Alignas(struct cmsghdr) char control[256] = {0};
	struct sockaddr_in name = {0};
	struct iovec iov = {control, 0};
	struct msghdr hdr = {.msg_name = &name,
			     .msg_namelen = sizeof(name),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = control_size};
	struct done d = {.rc = x_recvmsg(fd, &hdr, MSG_ERRQUEUE)};
	const struct cmsghdr *c = d.rc >= 0 ? CMSG_FIRSTHDR(&hdr) : NULL;

	d.flags = hdr.msg_flags;
	d.name_len = hdr.msg_namelen;
	if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR)
		memcpy(&d.ee, CMSG_DATA(c), sizeof(d.ee));
	return d;
}

/* Reads all that is completed until call 'last'; true: each number once, from 'first' on. */
static bool all_done(int fd, uint32_t first, uint32_t last)
{
	while (first <= last) {
		wait_for(CLIENT, fd, POLLERR);
		struct done d = next_done(fd, 256);

		if (d.rc != 0 || d.ee.ee_origin != SO_EE_ORIGIN_ZEROCOPY || d.ee.ee_info != first ||
		    d.ee.ee_data < first)
			return false;
		first = d.ee.ee_data + 1;
	}
	return first == last + 1;
}

static void take(const char *name, int fd, size_t size)
{
	char *buf = malloc(size);

	say(name, x_recv(fd, buf, size, MSG_WAITALL));
	free(buf);
}

/* A call, and all that its completion says. */
static void one(void)
{
	int fd[SIDES];
	struct epoll_event e = {.events = EPOLLIN}, got = {0};

	make_connection(fd);
	say_prefix("without");
	say("send", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY));
	take("taken", fd[SERVER], SIZE);
	say("none", next_done(fd[CLIENT], 256).rc);
	say_prefix("one");
	set_int(fd[CLIENT], SOL_SOCKET, SO_ZEROCOPY, 1);
	say("send_0", x_send(fd[CLIENT], bytes, 0, MSG_ZEROCOPY));
	say("none", next_done(fd[CLIENT], 256).rc);
	say("send", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY));
	take("taken", fd[SERVER], SIZE);
	wait_for(CLIENT, fd[CLIENT], POLLERR);
	say("select", x_select(fd[CLIENT]));
	int ep = x_epoll_create1(CLIENT, 0);
	(void)x_epoll_ctl(ep, EPOLL_CTL_ADD, fd[CLIENT], &e);
	say("epoll", x_epoll_wait(ep, &got, 1, 0));
	say_value("epoll_events", got.events);
	(void)x_close(ep);
	say("recv", x_recv(fd[CLIENT], bytes, 1, MSG_DONTWAIT));
	say_value("error", so_error(fd[CLIENT]));
	struct done d = next_done(fd[CLIENT], 256);
	say("done", d.rc);
	say_value("flags", d.flags);
	say_value("name_len", d.name_len);
	say_value("errno", d.ee.ee_errno);
	say_value("origin", d.ee.ee_origin);
	say_value("type", d.ee.ee_type);
	say_value("code", d.ee.ee_code);
	say_value("first", d.ee.ee_info);
	say_value("last", d.ee.ee_data);
	say("once", next_done(fd[CLIENT], 256).rc);
	say_value("error_then", so_error(fd[CLIENT]));
	say("send_again", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY));
	take("taken_again", fd[SERVER], SIZE);
	wait_for(CLIENT, fd[CLIENT], POLLERR);
	d = next_done(fd[CLIENT], 0);
	say("without_control", d.rc);
	say_value("without_control_flags", d.flags);
	say("without_control_once", next_done(fd[CLIENT], 256).rc);
	close_both(fd);
}

static void several(void)
{
	int fd[SIDES];
	struct iovec iov[3] = {{bytes, 10}, {bytes, 0}, {bytes, SIZE}};
	struct msghdr hdr = {.msg_iov = iov, .msg_iovlen = 3};

	make_connection(fd);
	set_int(fd[CLIENT], SOL_SOCKET, SO_ZEROCOPY, 1);
	say_prefix("several");
	say("small", x_send(fd[CLIENT], bytes, 1, MSG_ZEROCOPY));
	say("parts", x_sendmsg(fd[CLIENT], &hdr, MSG_ZEROCOPY));
	say("copied", x_send(fd[CLIENT], bytes, SIZE, 0));
	say("more", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY | MSG_MORE));
	say("last", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY));
	take("taken", fd[SERVER], 1 + 10 + 4 * SIZE);
	say_value("numbers", all_done(fd[CLIENT], 0, 3));
	say("once", next_done(fd[CLIENT], 256).rc);
	set_int(fd[CLIENT], SOL_SOCKET, SO_ZEROCOPY, 0);
	say("off", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY));
	take("taken_off", fd[SERVER], SIZE);
	set_int(fd[CLIENT], SOL_SOCKET, SO_ZEROCOPY, 1);
	say("on", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY));
	take("taken_on", fd[SERVER], SIZE);
	say_value("off_counts_not", all_done(fd[CLIENT], 4, 4));
	close_both(fd);
}

/* A completion is POLLERR, too, which ends wait_for. */
static void wait_reset(int fd)
{
	enum { TRIES = 2000 };

	struct pollfd p = {.fd = fd};

	for (int i = 0; i < TRIES && x_poll(CLIENT, &p, 1, 0) >= 0 && !(p.revents & POLLHUP); i++)
		(void)x_poll(CLIENT, NULL, 0, 1);
	say_value("hung_up", (p.revents & POLLHUP) != 0);
}

/* What is under way at an end. */
static void ends(void)
{
	int fd[SIDES];
	const struct linger at_once = {1, 0};

	make_connection(fd);
	set_int(fd[CLIENT], SOL_SOCKET, SO_ZEROCOPY, 1);
	say_prefix("shutdown");
	say("send", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY));
	say("shut", x_shutdown(fd[CLIENT], SHUT_WR));
	say("send_then", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY | MSG_NOSIGNAL));
	take("taken", fd[SERVER], SIZE);
	say_value("done", all_done(fd[CLIENT], 0, 0));
	say("once", next_done(fd[CLIENT], 256).rc);
	close_both(fd);
	make_connection(fd);
	set_int(fd[CLIENT], SOL_SOCKET, SO_ZEROCOPY, 1);
	say_prefix("reset");
	say("fits", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY));
	wait_readable(fd[SERVER]);
	(void)x_setsockopt(fd[SERVER], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)x_close(fd[SERVER]);
	wait_reset(fd[CLIENT]);
	say_value("done", all_done(fd[CLIENT], 0, 0));
	say("send", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY | MSG_NOSIGNAL));
	say("send_then", x_send(fd[CLIENT], bytes, SIZE, MSG_ZEROCOPY | MSG_NOSIGNAL));
	say("once", next_done(fd[CLIENT], 256).rc);
	(void)x_close(fd[CLIENT]);
	make_connection(fd);
	set_int(fd[CLIENT], SOL_SOCKET, SO_ZEROCOPY, 1);
	say_prefix("close");
	while (x_send(fd[CLIENT], bytes, LARGE, MSG_ZEROCOPY | MSG_DONTWAIT) > 0)
		;
	say("full", -1);
	say("close", x_close(fd[CLIENT]));
	(void)x_setsockopt(fd[SERVER], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)x_close(fd[SERVER]);
}

void topic_zerocopy(void)
{
	option();
	one();
	several();
	ends();
}
