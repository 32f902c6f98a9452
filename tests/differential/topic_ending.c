/* shutdown, close, reset: what both sides get from every call afterwards. */
#include "diff.h"

#include <sys/ioctl.h>
#include <time.h>

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
	int late = 0;
	for (int i = 0; i < 2000 && late == 0; i++) {
		(void)x_ioctl(fd[SERVER], FIONREAD, &late);
		(void)x_poll(SERVER, NULL, 0, 1);
	}
	say_value("late", late);
	say("late_recv", x_recv(fd[SERVER], &byte, 1, 0));
	say("late_end", x_recv(fd[SERVER], &byte, 1, 0));
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

static long now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* SO_LINGER with a time: close waits for what is unsent, and no longer; what is left is sent all the same. */
static void lingering(void)
{
	static char bytes[1 << 16];
	const struct linger second = {1, 1};
	int fd[SIDES];
	long sum = 0, got = 0, n;

	say_prefix("linger");
	make_connection(fd);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &second, sizeof(second));
	long begin = now_ms();
	say("idle", x_close(fd[CLIENT]));
	say_value("idle_at_once", now_ms() - begin < 500);
	(void)x_close(fd[SERVER]);
	make_connection(fd);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &second, sizeof(second));
	/* Until the peer has taken what it takes, too. */
	struct pollfd p = {.fd = fd[CLIENT], .events = POLLOUT};
	while (x_poll(CLIENT, &p, 1, 100) == 1)
		while ((n = x_send(fd[CLIENT], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
			sum += n;
	begin = now_ms();
	say("full", x_close(fd[CLIENT]));
	say_value("full_waits", now_ms() - begin >= 900);
	while ((n = x_recv(fd[SERVER], bytes, sizeof(bytes), 0)) > 0)
		got += n;
	say("full_end", n);
	say_value("full_all_came", got == sum);
	(void)x_close(fd[SERVER]);
}

/* What another handle still holds is not closed. */
static void last_handle(void)
{
	int fd[SIDES];
	char byte;

	make_connection(fd);
	say_prefix("last");
	int other = x_dup(fd[CLIENT]);
	say("close", x_close(fd[CLIENT]));
	say("nothing", x_recv(fd[SERVER], &byte, 1, MSG_DONTWAIT));
	say("shutdown", x_shutdown(other, SHUT_WR));
	say("end", x_recv(fd[SERVER], &byte, 1, 0));
	say("close_other", x_close(other));
	(void)x_close(fd[SERVER]);
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
	lingering();
	last_handle();
	error_is_taken();
	write_after_close();
}
