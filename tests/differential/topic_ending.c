/* shutdown, close, reset: what both sides get from every call afterwards. */
#include "diff.h"

/* The calls that do not block, on a connection in whatever state it is. */
static void look(const char *prefix, int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	char byte = 0;

	say_prefix(prefix);
	say("name", x_getsockname(fd, (struct sockaddr *)&in, &len));
	say("peer", x_getpeername(fd, (struct sockaddr *)&in, &len));
	say("peek", x_recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
	say("recv", x_recv(fd, &byte, 1, MSG_DONTWAIT));
	say("recv_again", x_recv(fd, &byte, 1, MSG_DONTWAIT));
	say("recv_0", x_recv(fd, &byte, 0, MSG_DONTWAIT));
	say_value("error", so_error(fd));
}

static void half_close(void)
{
	int fd[SIDES];
	char byte;

	make_connection(fd);
	say_prefix("half");
	(void)x_send(fd[CLIENT], "x", 1, 0);
	say("shut_wr", x_shutdown(fd[CLIENT], SHUT_WR));
	say("shut_wr_again", x_shutdown(fd[CLIENT], SHUT_WR));
	say("send", x_send(fd[CLIENT], "x", 1, MSG_NOSIGNAL));
	say("send_0", x_send(fd[CLIENT], "x", 0, MSG_NOSIGNAL));
	say("server_byte", x_recv(fd[SERVER], &byte, 1, MSG_WAITALL));
	say("server_end", x_recv(fd[SERVER], &byte, 1, 0));
	say("server_end_again", x_recv(fd[SERVER], &byte, 1, 0));
	say("server_sends", x_send(fd[SERVER], "y", 1, 0));
	say("client_gets", x_recv(fd[CLIENT], &byte, 1, 0));
	look("half_client", fd[CLIENT]);
	look("half_server", fd[SERVER]);
	say_prefix("half_then");
	say("server_shut_wr", x_shutdown(fd[SERVER], SHUT_WR));
	say("client_end", x_recv(fd[CLIENT], &byte, 1, 0));
	look("closed_both_client", fd[CLIENT]);
	close_both(fd);
}

static void shut_read(void)
{
	int fd[SIDES];
	char byte;

	make_connection(fd);
	say_prefix("shut_rd");
	(void)x_send(fd[CLIENT], "ab", 2, 0);
	(void)x_recv(fd[SERVER], &byte, 1, MSG_WAITALL);
	wait_readable(fd[SERVER]);
	say("shut", x_shutdown(fd[SERVER], SHUT_RD));
	say("waiting", x_recv(fd[SERVER], &byte, 1, 0));
	say("end", x_recv(fd[SERVER], &byte, 1, 0));
	say("end_dontwait", x_recv(fd[SERVER], &byte, 1, MSG_DONTWAIT));
	say("send", x_send(fd[SERVER], "x", 1, 0));
	say("other_sends", x_send(fd[CLIENT], "x", 1, MSG_NOSIGNAL));
	say("shut_rdwr", x_shutdown(fd[SERVER], SHUT_RDWR));
	close_both(fd);
	make_connection(fd);
	say_prefix("shut_rdwr");
	say("shut", x_shutdown(fd[SERVER], SHUT_RDWR));
	say("recv", x_recv(fd[SERVER], &byte, 1, 0));
	say("send", x_send(fd[SERVER], "x", 1, MSG_NOSIGNAL));
	say("other_end", x_recv(fd[CLIENT], &byte, 1, 0));
	close_both(fd);
}

static void reset_by_linger(void)
{
	int fd[SIDES];
	struct linger now = {1, 0};
	char byte;

	make_connection(fd);
	say_prefix("reset");
	say("linger", x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	say("close", x_close(fd[CLIENT]));
	say("recv", x_recv(fd[SERVER], &byte, 1, 0));
	say("recv_again", x_recv(fd[SERVER], &byte, 1, 0));
	say("send", x_send(fd[SERVER], "x", 1, MSG_NOSIGNAL));
	say("send_again", x_send(fd[SERVER], "x", 1, MSG_NOSIGNAL));
	say("shutdown", x_shutdown(fd[SERVER], SHUT_RDWR));
	look("reset_after", fd[SERVER]);
	(void)x_close(fd[SERVER]);
	make_connection(fd);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)x_send(fd[CLIENT], "abc", 3, 0);
	(void)x_recv(fd[SERVER], &byte, 1, MSG_WAITALL);
	wait_readable(fd[SERVER]);
	(void)x_send(fd[SERVER], "z", 1, 0);
	wait_readable(fd[CLIENT]);
	(void)x_close(fd[CLIENT]);
	say_prefix("reset_data");
	/* What has come stays readable until the reset is there: a byte at a time until the end. */
	ssize_t n;
	do
		n = x_recv(fd[SERVER], &byte, 1, 0);
	while (n > 0);
	say_value("ends_somehow", n <= 0);
	(void)x_close(fd[SERVER]);
}

/* Data that nobody read when its socket was closed makes a reset. */
static void reset_by_unread(void)
{
	int fd[SIDES];
	char byte;

	make_connection(fd);
	say_prefix("unread");
	(void)x_send(fd[CLIENT], "abc", 3, 0);
	wait_readable(fd[SERVER]);
	say("close", x_close(fd[SERVER]));
	say("recv", x_recv(fd[CLIENT], &byte, 1, 0));
	say("recv_again", x_recv(fd[CLIENT], &byte, 1, 0));
	(void)x_close(fd[CLIENT]);
}

static void error_is_taken(void)
{
	int fd[SIDES];
	struct linger now = {1, 0};
	char byte;

	make_connection(fd);
	say_prefix("error");
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)x_close(fd[CLIENT]);
	say("peek", x_recv(fd[SERVER], &byte, 1, MSG_PEEK));
	say_value("so_error", so_error(fd[SERVER]));
	say("recv", x_recv(fd[SERVER], &byte, 1, 0));
	(void)x_close(fd[SERVER]);
}

static void write_after_close(void)
{
	int fd[SIDES];
	char byte;

	make_connection(fd);
	say_prefix("epipe");
	(void)x_close(fd[SERVER]);
	say("end", x_recv(fd[CLIENT], &byte, 1, 0));
	say("first", x_send(fd[CLIENT], "x", 1, MSG_NOSIGNAL));
	/* Until the peer's RST is there. */
	while (x_send(fd[CLIENT], "x", 1, MSG_NOSIGNAL) >= 0)
		(void)sched_yield();
	say("then", x_send(fd[CLIENT], "x", 1, MSG_NOSIGNAL));
	(void)x_close(fd[CLIENT]);
	make_connection(fd);
	(void)x_close(fd[SERVER]);
	wait_for(CLIENT, fd[CLIENT], POLLRDHUP);
	(void)x_send(fd[CLIENT], "x", 1, MSG_NOSIGNAL);
	wait_for(CLIENT, fd[CLIENT], POLLHUP);
	say("reset_recv", x_recv(fd[CLIENT], &byte, 1, 0));
	say_value("reset_error", so_error(fd[CLIENT]));
	say("reset_recv_again", x_recv(fd[CLIENT], &byte, 1, 0));
	say("reset_send", x_send(fd[CLIENT], "x", 1, MSG_NOSIGNAL));
	(void)x_close(fd[CLIENT]);
}

void topic_ending(void)
{
	half_close();
	shut_read();
	reset_by_linger();
	reset_by_unread();
	error_is_taken();
	write_after_close();
}
