/* Other handles for one socket, ioctl, urgent data. */
#include "diff.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

static void dups(void)
{
	int fd[SIDES];
	char byte;

	make_connection(fd);
	say_prefix("dup");
	int other = x_dup(fd[CLIENT]);
	say("dup", other < 0 ? -1 : 0);
	(void)x_fcntl(other, F_SETFL, O_NONBLOCK);
	say_value("flags_are_shared", x_fcntl(fd[CLIENT], F_GETFL, 0) & O_NONBLOCK);
	(void)x_fcntl(fd[CLIENT], F_SETFL, 0);
	say("close_one", x_close(fd[CLIENT]));
	say("send_other", x_send(other, "x", 1, 0));
	say("recv", x_recv(fd[SERVER], &byte, 1, 0));
	say("recv_none", x_recv(fd[SERVER], &byte, 1, MSG_DONTWAIT));
	say("same", x_dup2(other, other) == other ? 0 : -1);
	say("dup3_same", x_dup3(other, other, 0));
	say("dup3_flags", x_dup3(other, fd[SERVER], 77));
	say("dup_closed", x_dup(closed_fd(CLIENT)));
	say("dup2_closed", x_dup2(closed_fd(CLIENT), other));
	say("dup2_negative", x_dup2(other, -1));
	int third = x_socket(CLIENT, AF_INET, SOCK_STREAM, 0);
	say("dup2", x_dup2(other, third) == third ? 0 : -1);
	(void)x_close(other);
	say("send_third", x_send(third, "y", 1, 0));
	say("recv_third", x_recv(fd[SERVER], &byte, 1, 0));
	int fourth = x_socket(CLIENT, AF_INET, SOCK_STREAM, 0);
	say("dup2_over_last", x_dup2(fourth, third) == third ? 0 : -1);
	say("end", x_recv(fd[SERVER], &byte, 1, 0));
	other = x_fcntl(fourth, F_DUPFD, 0);
	say("f_dupfd", other < 0 ? -1 : 0);
	(void)x_close(other);
	other = x_fcntl(fourth, F_DUPFD_CLOEXEC, 0);
	say("f_dupfd_cloexec", other < 0 ? -1 : 0);
	say("getfd", x_fcntl(fourth, F_GETFD, 0));
	say("setfd", x_fcntl(fourth, F_SETFD, FD_CLOEXEC));
	say("getfd_set", x_fcntl(fourth, F_GETFD, 0));
	(void)x_close(other);
	(void)x_close(third);
	(void)x_close(fourth);
	(void)x_close(fd[SERVER]);
}

static void ask(const char *name, int fd, unsigned long request)
{
	int value = -77;
	int rc = x_ioctl(fd, request, &value);

	say_with(name, rc, value);
}

static void ioctls(void)
{
	int fd[SIDES], on = 1;
	uint16_t port;
	char buf[8];

	say_prefix("ioctl");
	int fresh = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
	ask("fresh_inq", fresh, FIONREAD);
	ask("fresh_outq", fresh, SIOCOUTQ);
	ask("fresh_unsent", fresh, SIOCOUTQNSD);
	ask("fresh_mark", fresh, SIOCATMARK);
	ask("unknown", fresh, 0x7777);
	say("null", x_ioctl(fresh, FIONREAD, NULL));
	(void)x_close(fresh);
	int listener = make_listener(&port, 1);
	ask("listener_inq", listener, FIONREAD);
	ask("listener_outq", listener, SIOCOUTQ);
	ask("listener_unsent", listener, SIOCOUTQNSD);
	ask("listener_mark", listener, SIOCATMARK);
	(void)x_close(listener);
	ask("closed", closed_fd(SERVER), FIONREAD);
	make_connection(fd);
	ask("idle_inq", fd[SERVER], FIONREAD);
	ask("idle_outq", fd[SERVER], SIOCOUTQ);
	(void)x_send(fd[CLIENT], "abc", 3, 0);
	(void)x_recv(fd[SERVER], buf, 3, MSG_PEEK | MSG_WAITALL);
	ask("inq", fd[SERVER], FIONREAD);
	(void)x_recv(fd[SERVER], buf, 1, 0);
	ask("inq_less", fd[SERVER], FIONREAD);
	say("nonblock", x_ioctl(fd[SERVER], FIONBIO, &on));
	say_value("getfl", x_fcntl(fd[SERVER], F_GETFL, 0));
	on = 0;
	say("block", x_ioctl(fd[SERVER], FIONBIO, &on));
	say_value("getfl_block", x_fcntl(fd[SERVER], F_GETFL, 0));
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	(void)x_recv(fd[SERVER], buf, 8, 0);
	wait_for(SERVER, fd[SERVER], POLLRDHUP);
	ask("inq_end", fd[SERVER], FIONREAD);
	close_both(fd);
	int ep = x_epoll_create1(SERVER, 0);
	on = 1;
	say("epoll_nonblock", x_ioctl(ep, FIONBIO, &on));
	say_value("epoll_getfl", x_fcntl(ep, F_GETFL, 0) & O_NONBLOCK);
	on = 0;
	say("epoll_block", x_ioctl(ep, FIONBIO, &on));
	say_value("epoll_getfl_block", x_fcntl(ep, F_GETFL, 0) & O_NONBLOCK);
	(void)x_close(ep);
}

static void datagram_ioctls(void)
{
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());
	int s = x_socket(SERVER, AF_INET, SOCK_DGRAM, 0);
	int c = x_socket(CLIENT, AF_INET, SOCK_DGRAM, 0);
	char buf[8];

	say_prefix("ioctl_udp");
	(void)x_bind(s, (struct sockaddr *)&in, sizeof(in));
	(void)x_connect(c, (struct sockaddr *)&in, sizeof(in));
	ask("inq_none", s, FIONREAD);
	(void)x_send(c, "abc", 3, 0);
	(void)x_send(c, "abcde", 5, 0);
	wait_for(SERVER, s, POLLIN);
	ask("inq", s, FIONREAD);
	say("recv", x_recv(s, buf, 8, 0));
	wait_for(SERVER, s, POLLIN);
	ask("inq_next", s, FIONREAD);
	ask("mark", s, SIOCATMARK);
	ask("unsent", s, SIOCOUTQNSD);
	(void)x_close(s);
	(void)x_close(c);
}

static void urgent(void)
{
	int fd[SIDES], on = 1;
	char buf[16] = {0};

	make_connection(fd);
	say_prefix("urgent");
	say("recv_none", x_recv(fd[SERVER], buf, 1, MSG_OOB));
	say("mark_none", x_sockatmark(fd[SERVER]));
	say("send", x_send(fd[CLIENT], "ab!", 3, MSG_OOB));
	(void)x_send(fd[CLIENT], "cd", 2, 0);
	wait_for(SERVER, fd[SERVER], POLLPRI);
	say("mark_before", x_sockatmark(fd[SERVER]));
	say("peek", x_recv(fd[SERVER], buf, 1, MSG_OOB | MSG_PEEK));
	say("recv_oob", x_recv(fd[SERVER], buf, 4, MSG_OOB));
	say_value("byte", buf[0]);
	say("recv_oob_again", x_recv(fd[SERVER], buf, 1, MSG_OOB));
	while (x_recv(fd[SERVER], buf, 2, MSG_PEEK) < 2)
		(void)sched_yield();
	say("stops_at_mark", x_recv(fd[SERVER], buf, 8, 0));
	say("mark", x_sockatmark(fd[SERVER]));
	say("behind_mark", x_recv(fd[SERVER], buf, 2, MSG_WAITALL));
	buf[2] = 0;
	say_text("bytes", buf);
	say("mark_behind", x_sockatmark(fd[SERVER]));
	say("closed", x_sockatmark(closed_fd(SERVER)));
	(void)x_setsockopt(fd[SERVER], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	say("inline_send", x_send(fd[CLIENT], "e!", 2, MSG_OOB));
	wait_for(SERVER, fd[SERVER], POLLPRI);
	say("inline_oob", x_recv(fd[SERVER], buf, 1, MSG_OOB));
	say("inline_before", x_recv(fd[SERVER], buf, 8, 0));
	say("inline_mark", x_sockatmark(fd[SERVER]));
	say("inline_byte", x_recv(fd[SERVER], buf, 8, 0));
	say_value("inline_is_it", buf[0]);
	say("send_0", x_send(fd[CLIENT], "", 0, MSG_OOB));
	close_both(fd);
	int fresh = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
	say("fresh_recv", x_recv(fresh, buf, 1, MSG_OOB));
	say("fresh_send", x_send(fresh, "x", 1, MSG_OOB | MSG_NOSIGNAL));
	(void)x_close(fresh);
}

void topic_calls(void)
{
	dups();
	ioctls();
	datagram_ioctls();
	urgent();
}
