/* What poll, select and epoll say of a socket in each of its states. */
#include "diff.h"

#include <fcntl.h>
#include <stdio.h>

enum { ALL = POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM };

static const struct linger at_once = {1, 0};

static const char *mask_name(unsigned mask, char buf[100])
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {
		{POLLIN, "IN"},         {POLLPRI, "PRI"},       {POLLOUT, "OUT"},
		{POLLERR, "ERR"},       {POLLHUP, "HUP"},       {POLLNVAL, "NVAL"},
		{POLLRDHUP, "RDHUP"},   {POLLRDNORM, "RDNORM"}, {POLLRDBAND, "RDBAND"},
		{POLLWRNORM, "WRNORM"},
	};

	size_t at = 0;

	buf[0] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mask & names[i].bit)
			at += (size_t)snprintf(buf + at, 100 - at, "%s%s", at > 0 ? "|" : "",
					       names[i].name);
	return buf[0] ? buf : "0";
}

/* The three of them. */
static void look(const char *state, enum side side, int fd)
{
	struct pollfd p = {.fd = fd, .events = ALL};
	struct epoll_event e = {.events = ALL}, got = {0};
	char buf[100];

	say_prefix(state);
	(void)x_poll(side, &p, 1, 0);
	say_text("poll", mask_name((unsigned short)p.revents, buf));
	say("select", x_select(fd));
	int ep = x_epoll_create1(side, 0);
	if (x_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) != 0)
		say("epoll_ctl", -1);
	else if (x_epoll_wait(ep, &got, 1, 0) < 0)
		say("epoll", -1);
	else
		say_text("epoll", mask_name(got.events, buf));
	(void)x_close(ep);
	p.events = 0; /* what is told without being asked for */
	p.revents = 0;
	(void)x_poll(side, &p, 1, 0);
	say_text("unasked", mask_name((unsigned short)p.revents, buf));
}

static void not_connected(void)
{
	int fd = tcp4(SERVER);
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());
	uint16_t port;

	look("fresh", SERVER, fd);
	(void)x_bind(fd, (struct sockaddr *)&in, sizeof(in));
	look("bound", SERVER, fd);
	(void)x_shutdown(fd, SHUT_RDWR);
	look("fresh_shut", SERVER, fd);
	(void)x_close(fd);
	fd = make_listener(&port, 5);
	look("listening", SERVER, fd);
	int client = tcp4(CLIENT);
	(void)connect4(client, addr4_of(SERVER, port));
	wait_for(SERVER, fd, POLLIN);
	look("listening_pending", SERVER, fd);
	(void)x_shutdown(fd, SHUT_RD);
	look("listening_shut", SERVER, fd);
	(void)x_close(client);
	(void)x_close(fd);
}

/* A listener with a full queue lets the next one wait. */
static void connecting(void)
{
	enum { MANY = 8, SHORT_MS = 100 };

	int fds[MANY], n = 0;
	uint16_t port;
	int listener = make_listener(&port, 0);
	struct pollfd p = {.events = POLLOUT};

	do {
		p.fd = fds[n++] = tcp4(CLIENT);
		(void)x_fcntl(p.fd, F_SETFL, O_NONBLOCK);
		(void)connect4(p.fd, addr4_of(SERVER, port));
	} while (n < MANY && x_poll(CLIENT, &p, 1, SHORT_MS) == 1);
	look("connecting", CLIENT, p.fd);
	say("again", connect4(p.fd, addr4_of(SERVER, port)));
	(void)x_shutdown(p.fd, SHUT_WR);
	look("connecting_shut_wr", CLIENT, p.fd);
	(void)x_close(listener);
	while (n > 0)
		(void)x_close(fds[--n]);
}

static void refused(void)
{
	int fd = tcp4(CLIENT);

	(void)x_fcntl(fd, F_SETFL, O_NONBLOCK);
	(void)connect4(fd, addr4_of(SERVER, fresh_port()));
	wait_for(CLIENT, fd, POLLHUP);
	look("refused", CLIENT, fd);
	say_value("error", so_error(fd));
	look("refused_taken", CLIENT, fd);
	(void)connect4(fd, addr4_of(SERVER, fresh_port()));
	wait_for(CLIENT, fd, POLLERR);
	look("refused_again", CLIENT, fd);
	say("connect", connect4(fd, addr4_of(SERVER, fresh_port())));
	(void)x_close(fd);
}

static void connected(void)
{
	int fd[SIDES];
	char buf[16];

	make_connection(fd);
	look("idle", SERVER, fd[SERVER]);
	set_int(fd[SERVER], SOL_SOCKET, SO_RCVLOWAT, 4);
	(void)x_send(fd[CLIENT], "ab", 2, 0);
	(void)x_recv(fd[SERVER], buf, 2, MSG_PEEK | MSG_WAITALL);
	look("below_lowat", SERVER, fd[SERVER]);
	(void)x_send(fd[CLIENT], "cd", 2, 0);
	wait_for(SERVER, fd[SERVER], POLLIN);
	look("at_lowat", SERVER, fd[SERVER]);
	(void)x_recv(fd[SERVER], buf, 1, 0);
	look("below_again", SERVER, fd[SERVER]);
	set_int(fd[SERVER], SOL_SOCKET, SO_RCVLOWAT, 1);
	look("data", SERVER, fd[SERVER]);
	(void)x_recv(fd[SERVER], buf, sizeof(buf), 0);
	look("read", SERVER, fd[SERVER]);
	close_both(fd);
}

static void full(void)
{
	static char buf[1 << 16];
	int fd[SIDES];

	make_connection(fd);
	while (x_send(fd[CLIENT], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	look("full", CLIENT, fd[CLIENT]);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	look("full_shut", CLIENT, fd[CLIENT]);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close_both(fd);
}

static void half_closed(void)
{
	int fd[SIDES];
	char byte;

	make_connection(fd);
	(void)x_send(fd[CLIENT], "x", 1, 0);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	look("own_half", CLIENT, fd[CLIENT]);
	wait_for(SERVER, fd[SERVER], POLLRDHUP);
	look("peer_half_data", SERVER, fd[SERVER]);
	(void)x_recv(fd[SERVER], &byte, 1, 0);
	look("peer_half", SERVER, fd[SERVER]);
	(void)x_recv(fd[SERVER], &byte, 1, 0);
	look("peer_half_end", SERVER, fd[SERVER]);
	(void)x_send(fd[SERVER], "y", 1, 0);
	wait_for(CLIENT, fd[CLIENT], POLLIN);
	look("own_half_data", CLIENT, fd[CLIENT]);
	(void)x_shutdown(fd[SERVER], SHUT_WR);
	look("both", SERVER, fd[SERVER]);
	wait_for(CLIENT, fd[CLIENT], POLLHUP);
	look("both_data", CLIENT, fd[CLIENT]);
	close_both(fd);
	make_connection(fd);
	(void)x_shutdown(fd[SERVER], SHUT_RD);
	look("shut_rd", SERVER, fd[SERVER]);
	(void)x_send(fd[CLIENT], "x", 1, 0);
	look("shut_rd_peer", CLIENT, fd[CLIENT]);
	(void)x_shutdown(fd[SERVER], SHUT_WR);
	look("shut_both", SERVER, fd[SERVER]);
	close_both(fd);
	make_connection(fd);
	(void)x_shutdown(fd[SERVER], SHUT_RDWR);
	look("shut_rdwr", SERVER, fd[SERVER]);
	close_both(fd);
}

static void reset(void)
{
	int fd[SIDES];
	char byte;

	make_connection(fd);
	(void)x_send(fd[CLIENT], "x", 1, 0);
	(void)x_recv(fd[SERVER], &byte, 1, MSG_PEEK | MSG_WAITALL);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)x_close(fd[CLIENT]);
	wait_for(SERVER, fd[SERVER], POLLHUP);
	look("reset", SERVER, fd[SERVER]);
	say("recv", x_recv(fd[SERVER], &byte, 1, 0));
	look("reset_read", SERVER, fd[SERVER]);
	say_value("error", so_error(fd[SERVER]));
	look("reset_taken", SERVER, fd[SERVER]);
	say("send", x_send(fd[SERVER], "x", 1, MSG_NOSIGNAL));
	look("reset_sent", SERVER, fd[SERVER]);
	(void)x_close(fd[SERVER]);
	/* A reset for data that comes behind the close. */
	make_connection(fd);
	(void)x_close(fd[SERVER]);
	wait_for(CLIENT, fd[CLIENT], POLLRDHUP);
	look("closed", CLIENT, fd[CLIENT]);
	(void)x_send(fd[CLIENT], "x", 1, MSG_NOSIGNAL);
	wait_for(CLIENT, fd[CLIENT], POLLHUP);
	look("closed_sent", CLIENT, fd[CLIENT]);
	say_value("error", so_error(fd[CLIENT]));
	look("closed_taken", CLIENT, fd[CLIENT]);
	(void)x_close(fd[CLIENT]);
}

static void urgent(void)
{
	int fd[SIDES];
	char byte;

	make_connection(fd);
	(void)x_send(fd[CLIENT], "ab!", 3, MSG_OOB);
	wait_for(SERVER, fd[SERVER], POLLPRI);
	look("urgent", SERVER, fd[SERVER]);
	(void)x_recv(fd[SERVER], &byte, 1, MSG_OOB);
	look("urgent_read", SERVER, fd[SERVER]);
	(void)x_recv(fd[SERVER], &byte, 1, 0);
	(void)x_recv(fd[SERVER], &byte, 1, 0);
	look("urgent_mark", SERVER, fd[SERVER]);
	close_both(fd);
	make_connection(fd);
	set_int(fd[SERVER], SOL_SOCKET, SO_OOBINLINE, 1);
	(void)x_send(fd[CLIENT], "!", 1, MSG_OOB);
	wait_for(SERVER, fd[SERVER], POLLPRI);
	look("urgent_inline", SERVER, fd[SERVER]);
	(void)x_recv(fd[SERVER], &byte, 1, 0);
	look("urgent_inline_read", SERVER, fd[SERVER]);
	close_both(fd);
}

static void datagrams(void)
{
	uint16_t port = fresh_port();
	int s = x_socket(SERVER, AF_INET, SOCK_DGRAM, 0);
	int c = x_socket(CLIENT, AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in in = addr4_of(SERVER, port);
	char byte;

	look("udp_fresh", SERVER, s);
	(void)x_shutdown(s, SHUT_RDWR);
	look("udp_fresh_shut", SERVER, s);
	(void)x_bind(s, (struct sockaddr *)&in, sizeof(in));
	look("udp_bound", SERVER, s);
	(void)connect4(c, in);
	look("udp_connected", CLIENT, c);
	(void)x_send(c, "", 0, 0);
	wait_for(SERVER, s, POLLIN);
	look("udp_empty", SERVER, s);
	say("recv", x_recv(s, &byte, 1, 0));
	(void)x_close(s);
	(void)x_send(c, "x", 1, 0);
	wait_for(CLIENT, c, POLLERR);
	look("udp_refused", CLIENT, c);
	say_value("error", so_error(c));
	look("udp_taken", CLIENT, c);
	(void)x_shutdown(c, SHUT_RD);
	look("udp_shut_rd", CLIENT, c);
	(void)x_shutdown(c, SHUT_WR);
	look("udp_shut", CLIENT, c);
	(void)x_close(c);
}

static void calls(void)
{
	struct pollfd p[3] = {{.fd = -1, .events = ALL, .revents = 77},
			      {.events = ALL},
			      {.fd = tcp4(SERVER), .events = 0}};
	struct timespec bad = {.tv_nsec = 1000000000}, now = {0, 0};
	char buf[100];

	p[1].fd = closed_fd(SERVER); /* a number that nobody takes meanwhile */
	say_prefix("calls");
	say("poll", x_poll(SERVER, p, 3, 0));
	say_text("negative", mask_name((unsigned short)p[0].revents, buf));
	say_text("closed", mask_name((unsigned short)p[1].revents, buf));
	say_text("nothing", mask_name((unsigned short)p[2].revents, buf));
	say("none", x_poll(SERVER, NULL, 0, 0));
	say("none_for_a_while", x_poll(SERVER, NULL, 0, 1));
	say("ppoll_bad_time", x_ppoll(SERVER, p, 1, &bad));
	bad.tv_nsec = -1;
	say("ppoll_negative_time", x_ppoll(SERVER, p, 1, &bad));
	say("ppoll_now", x_ppoll(SERVER, p, 1, &now));
	say("select_closed", x_select(p[1].fd));
	(void)x_close(p[2].fd);
}

void topic_ready(void)
{
	not_connected();
	connecting();
	refused();
	connected();
	full();
	half_closed();
	reset();
	urgent();
	datagrams();
	calls();
}
