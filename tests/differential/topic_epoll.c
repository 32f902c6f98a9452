/* Epoll sets: what epoll_ctl takes, when each kind of item is reported, sets in sets, what leaves them. */
#include "diff.h"

#include <stdio.h>

static int ctl(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u32 = 7};

	return x_epoll_ctl(ep, op, fd, &e);
}

/* The events of the first one that is ready, 0: none. */
static void say_ready(const char *name, int ep)
{
	struct epoll_event e[4] = {{.events = 0}};
	int n = x_epoll_wait(ep, e, 4, 0);

	say_with(name, n, n > 0 ? (long)e[0].events : 0);
}

static void arguments(void)
{
	int ep = x_epoll_create1(SERVER, 0), other = x_epoll_create1(SERVER, EPOLL_CLOEXEC);
	int fd = tcp4(SERVER), gone = closed_fd(SERVER);
	struct epoll_event e = {.events = EPOLLIN};
	struct timespec bad = {.tv_nsec = 1000000000};

	say_prefix("arguments");
	say("create_flags", x_epoll_create1(SERVER, 1));
	say("cloexec", other < 0 ? -1 : 0);
	say("add", ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN));
	say("add_again", ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN));
	say("add_elsewhere", ctl(other, EPOLL_CTL_ADD, fd, EPOLLIN));
	say("mod", ctl(ep, EPOLL_CTL_MOD, fd, EPOLLOUT));
	say("del", ctl(ep, EPOLL_CTL_DEL, fd, 0));
	say("del_again", ctl(ep, EPOLL_CTL_DEL, fd, 0));
	say("mod_missing", ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN));
	say("del_null", x_epoll_ctl(other, EPOLL_CTL_DEL, fd, NULL));
	say("add_null", x_epoll_ctl(ep, EPOLL_CTL_ADD, fd, NULL));
	say("bad_op", ctl(ep, 77, fd, EPOLLIN));
	say("self", ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN));
	say("not_a_set", ctl(fd, EPOLL_CTL_ADD, ep, EPOLLIN));
	say("add_closed", ctl(ep, EPOLL_CTL_ADD, gone, EPOLLIN));
	say("set_closed", ctl(gone, EPOLL_CTL_ADD, fd, EPOLLIN));
	say("set_negative", ctl(-1, EPOLL_CTL_ADD, fd, EPOLLIN));
	say("exclusive", ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE));
	say("exclusive_mod", ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN));
	say("mod_to_exclusive", ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLEXCLUSIVE));
	(void)ctl(ep, EPOLL_CTL_DEL, fd, 0);
	say("exclusive_oneshot",
	    ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT));
	say("exclusive_rdhup", ctl(ep, EPOLL_CTL_ADD, fd, EPOLLRDHUP | EPOLLEXCLUSIVE));
	say("exclusive_edge", ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET));
	say("exclusive_set", ctl(ep, EPOLL_CTL_ADD, other, EPOLLIN | EPOLLEXCLUSIVE));
	say("wait_0", x_epoll_wait(ep, &e, 0, 0));
	say("wait_negative", x_epoll_wait(ep, &e, -1, 0));
	say("wait_many", x_epoll_wait(ep, &e, 1 << 30, 0));
	say("wait_null", x_epoll_wait(ep, NULL, 1, 0));
	say("wait_socket", x_epoll_wait(fd, &e, 1, 0));
	say("wait_closed", x_epoll_wait(gone, &e, 1, 0));
	say("wait_bad_time", x_epoll_pwait2(ep, &e, 1, &bad));
	say("wait_nothing", x_epoll_wait(other, &e, 1, 0));
	say("wait_in_vain", x_epoll_wait(other, &e, 1, 1));
	(void)x_close(fd);
	(void)x_close(ep);
	(void)x_close(other);
}

/* What a set is asked that is no set: everything else on its handle. */
static void as_socket(void)
{
	int ep = x_epoll_create1(SERVER, 0), value = 1;
	socklen_t len = sizeof(value);
	struct sockaddr_in in = addr4_of(SERVER, 9);

	say_prefix("as_socket");
	say("bind", x_bind(ep, (struct sockaddr *)&in, sizeof(in)));
	say("listen", x_listen(ep, 1));
	say("accept", x_accept(ep, NULL, NULL));
	say("connect", x_connect(ep, (struct sockaddr *)&in, sizeof(in)));
	say("send", x_send(ep, "x", 1, 0));
	say("recv", x_recv(ep, &value, 1, 0));
	say("shutdown", x_shutdown(ep, SHUT_RD));
	say("setsockopt", x_setsockopt(ep, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)));
	say("getsockopt", x_getsockopt(ep, SOL_SOCKET, SO_KEEPALIVE, &value, &len));
	say("name", x_getsockname(ep, (struct sockaddr *)&in, &len));
	say("getfl", x_fcntl(ep, F_GETFL, 0));
	say("setfl", x_fcntl(ep, F_SETFL, O_NONBLOCK));
	say("getfl_nonblock", x_fcntl(ep, F_GETFL, 0));
	(void)x_close(ep);
}

static void levels(void)
{
	int fd[SIDES], ep = x_epoll_create1(SERVER, 0);
	char buf[8];

	make_connection(fd);
	say_prefix("level");
	(void)ctl(ep, EPOLL_CTL_ADD, fd[SERVER], EPOLLIN);
	say_ready("idle", ep);
	(void)x_send(fd[CLIENT], "ab", 2, 0);
	wait_for(SERVER, fd[SERVER], POLLIN);
	(void)x_recv(fd[SERVER], buf, 2, MSG_PEEK | MSG_WAITALL);
	say_ready("data", ep);
	say_ready("data_still", ep);
	(void)x_recv(fd[SERVER], buf, 1, 0);
	say_ready("some_left", ep);
	(void)ctl(ep, EPOLL_CTL_MOD, fd[SERVER], EPOLLOUT);
	say_ready("mod_out", ep);
	(void)ctl(ep, EPOLL_CTL_MOD, fd[SERVER], 0);
	say_ready("mod_nothing", ep);
	(void)ctl(ep, EPOLL_CTL_MOD, fd[SERVER], EPOLLIN);
	say_ready("mod_back", ep);
	(void)x_recv(fd[SERVER], buf, 1, 0);
	say_ready("none_left", ep);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	wait_for(SERVER, fd[SERVER], POLLRDHUP);
	say_ready("end", ep);
	(void)ctl(ep, EPOLL_CTL_MOD, fd[SERVER], EPOLLRDHUP);
	say_ready("rdhup", ep);
	(void)x_shutdown(fd[SERVER], SHUT_WR);
	(void)ctl(ep, EPOLL_CTL_MOD, fd[SERVER], 0);
	say_ready("hup_unasked", ep);
	close_both(fd);
	(void)x_close(ep);
}

static void edges(void)
{
	int fd[SIDES], ep = x_epoll_create1(SERVER, 0);
	char buf[8];

	make_connection(fd);
	say_prefix("edge");
	(void)ctl(ep, EPOLL_CTL_ADD, fd[SERVER], EPOLLIN | EPOLLET);
	say_ready("idle", ep);
	(void)x_send(fd[CLIENT], "a", 1, 0);
	wait_for(SERVER, fd[SERVER], POLLIN);
	say_ready("data", ep);
	say_ready("data_not_again", ep);
	(void)x_send(fd[CLIENT], "b", 1, 0);
	(void)x_recv(fd[SERVER], buf, 2, MSG_PEEK | MSG_WAITALL);
	while (x_recv(fd[SERVER], buf, 2, MSG_PEEK) < 2)
		(void)sched_yield();
	say_ready("more_data", ep);
	(void)x_recv(fd[SERVER], buf, 1, 0);
	say_ready("some_left", ep);
	(void)ctl(ep, EPOLL_CTL_MOD, fd[SERVER], EPOLLIN | EPOLLET);
	say_ready("mod", ep);
	say_ready("mod_not_again", ep);
	(void)ctl(ep, EPOLL_CTL_MOD, fd[SERVER], EPOLLIN | EPOLLOUT | EPOLLET);
	say_ready("both", ep);
	say_ready("both_not_again", ep);
	(void)x_recv(fd[SERVER], buf, 1, 0);
	say_ready("none_left", ep);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	wait_for(SERVER, fd[SERVER], POLLRDHUP);
	say_ready("end", ep);
	say_ready("end_not_again", ep);
	(void)x_shutdown(fd[SERVER], SHUT_WR);
	say_ready("own_end", ep);
	close_both(fd);
	say_ready("closed", ep);
	(void)x_close(ep);
}

static void one_shots(void)
{
	int fd[SIDES], ep = x_epoll_create1(SERVER, 0);
	char buf[8];

	make_connection(fd);
	say_prefix("oneshot");
	(void)ctl(ep, EPOLL_CTL_ADD, fd[SERVER], EPOLLIN | EPOLLONESHOT);
	(void)x_send(fd[CLIENT], "a", 1, 0);
	wait_for(SERVER, fd[SERVER], POLLIN);
	say_ready("data", ep);
	say_ready("not_again", ep);
	(void)x_send(fd[CLIENT], "b", 1, 0);
	while (x_recv(fd[SERVER], buf, 2, MSG_PEEK) < 2)
		(void)sched_yield();
	say_ready("not_for_more", ep);
	(void)ctl(ep, EPOLL_CTL_MOD, fd[SERVER], EPOLLIN | EPOLLONESHOT);
	say_ready("mod", ep);
	say_ready("mod_not_again", ep);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	(void)x_shutdown(fd[SERVER], SHUT_WR);
	wait_for(SERVER, fd[SERVER], POLLHUP);
	say_ready("not_for_hup", ep);
	(void)ctl(ep, EPOLL_CTL_MOD, fd[SERVER], EPOLLONESHOT);
	say_ready("hup", ep);
	say_ready("hup_not_again", ep);
	close_both(fd);
	(void)x_close(ep);
}

static void several(void)
{
	int a[SIDES], b[SIDES], ep = x_epoll_create1(SERVER, 0);
	struct epoll_event e[4];
	uint64_t seen = 0;

	make_connection(a);
	make_connection(b);
	say_prefix("several");
	for (int i = 0; i < 2; i++) {
		e[0] = (struct epoll_event){.events = EPOLLOUT, .data.u64 = 1u + (unsigned)i};
		(void)x_epoll_ctl(ep, EPOLL_CTL_ADD, i == 0 ? a[SERVER] : b[SERVER], &e[0]);
	}
	say("both", x_epoll_wait(ep, e, 4, 0));
	say_value("data", (long)(e[0].data.u64 + e[1].data.u64));
	for (int i = 0; i < 2; i++) {
		say(i == 0 ? "one" : "other", x_epoll_wait(ep, e, 1, 0));
		seen += e[0].data.u64;
	}
	say_value("in_turns", (long)seen);
	(void)ctl(ep, EPOLL_CTL_DEL, a[SERVER], 0);
	say("one_left", x_epoll_wait(ep, e, 4, 0));
	(void)x_close(b[SERVER]);
	say("none_left", x_epoll_wait(ep, e, 4, 0));
	(void)x_close(b[CLIENT]);
	close_both(a);
	(void)x_close(ep);
}

static void nested(void)
{
	int in = x_epoll_create1(SERVER, 0), out = x_epoll_create1(SERVER, 0), fd[SIDES];
	struct pollfd p = {.events = POLLIN | POLLOUT};
	char byte;

	make_connection(fd);
	say_prefix("nested");
	say("add", ctl(out, EPOLL_CTL_ADD, in, EPOLLIN));
	say("loop", ctl(in, EPOLL_CTL_ADD, out, EPOLLIN));
	say_ready("empty", out);
	(void)ctl(in, EPOLL_CTL_ADD, fd[SERVER], EPOLLIN);
	say_ready("idle", out);
	(void)x_send(fd[CLIENT], "x", 1, 0);
	wait_for(SERVER, fd[SERVER], POLLIN);
	say_ready("ready", out);
	say_ready("ready_still", out);
	p.fd = out;
	say("poll", x_poll(SERVER, &p, 1, 0));
	say_value("revents", p.revents);
	say("select", x_select(out));
	(void)x_recv(fd[SERVER], &byte, 1, 0);
	say_ready("taken", out);
	say("poll_taken", x_poll(SERVER, &p, 1, 0));
	(void)ctl(out, EPOLL_CTL_MOD, in, EPOLLIN | EPOLLET);
	(void)x_send(fd[CLIENT], "x", 1, 0);
	wait_for(SERVER, fd[SERVER], POLLIN);
	say_ready("edge", out);
	say_ready("edge_not_again", out);
	(void)x_close(in);
	say_ready("inner_closed", out);
	close_both(fd);
	(void)x_close(out);
	int chain[8];

	for (int i = 0; i < 8; i++) {
		char name[16];

		chain[i] = x_epoll_create1(SERVER, 0);
		(void)snprintf(name, sizeof(name), "chain_%d", i);
		if (i > 0)
			say(name, ctl(chain[i], EPOLL_CTL_ADD, chain[i - 1], EPOLLIN));
	}
	for (int i = 0; i < 8; i++)
		(void)x_close(chain[i]);
}

/* An item is of what a handle names, and goes with its last handle. */
static void dups(void)
{
	int fd[SIDES], ep = x_epoll_create1(SERVER, 0);
	struct epoll_event e[4];

	make_connection(fd);
	say_prefix("dup");
	(void)ctl(ep, EPOLL_CTL_ADD, fd[SERVER], EPOLLOUT);
	int other = x_dup(fd[SERVER]);
	say("add_dup", ctl(ep, EPOLL_CTL_ADD, other, EPOLLOUT));
	say("both", x_epoll_wait(ep, e, 4, 0));
	(void)ctl(ep, EPOLL_CTL_DEL, other, 0);
	say("one", x_epoll_wait(ep, e, 4, 0));
	(void)x_close(fd[SERVER]);
	say("closed_one", x_epoll_wait(ep, e, 4, 0));
	(void)x_close(other);
	say("closed_both", x_epoll_wait(ep, e, 4, 0));
	(void)x_close(fd[CLIENT]);
	(void)x_close(ep);
}

void topic_epoll(void)
{
	arguments();
	as_socket();
	levels();
	edges();
	one_shots();
	several();
	nested();
	dups();
}
