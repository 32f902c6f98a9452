/*
 * Calls that sleep, and what ends them: shutdown and close by another thread, the peer, timeouts, signals;
 * and whom of several sleepers an event wakes.
 */
#include "diff.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { SHORT_MS = 150, LONG_MS = 5000 };

static const struct linger at_once = {1, 0};

/* ---- Threads that sleep in one call. ---- */

struct sleeper {
	long (*call)(const struct sleeper *s);
	enum side side;
	int fd;
	struct sockaddr_in peer;
	long rc;
	int error;
	atomic_int tid;
	atomic_bool is_over;
	pthread_t thread;
};

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;

	atomic_store(&s->tid, (int)syscall(SYS_gettid));
	s->rc = s->call(s);
	s->error = errno;
	atomic_store(&s->is_over, true);
	return NULL;
}

/* What the kernel says that the thread does: S is asleep. */
static char state_of(int tid)
{
	char path[64], line[256] = "", state = '?';

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	FILE *f = fopen(path, "re");
	if (!f)
		return state;
	if (fgets(line, sizeof(line), f) && strrchr(line, ')'))
		state = strrchr(line, ')')[2];
	(void)fclose(f);
	return state;
}

static bool is_asleep(const struct sleeper *s)
{
	int tid = atomic_load(&s->tid);

	return tid != 0 && state_of(tid) == 'S';
}

/* Starts the call, and comes back when its thread is asleep, or over. */
static void start(struct sleeper *s, enum side side, int fd, long (*call)(const struct sleeper *s))
{
	s->side = side;
	s->fd = fd;
	s->call = call;
	atomic_init(&s->tid, 0);
	atomic_init(&s->is_over, false);
	if (pthread_create(&s->thread, NULL, sleeper_main, s) != 0)
		_exit(2);
	/* Seen asleep some times: not only on its way. */
	for (int seen = 0; seen < 5 && !atomic_load(&s->is_over);) {
		seen = is_asleep(s) ? seen + 1 : 0;
		(void)x_poll(s->side, NULL, 0, 1);
	}
}

static void end(const char *name, struct sleeper *s)
{
	(void)pthread_join(s->thread, NULL);
	errno = s->error;
	say(name, s->rc);
}

/* How many of them are over, as soon as that are so many; sleeps a little longer for one too many. */
static void end_one_of(const char *name, struct sleeper s[2])
{
	int tries = 2000;

	while (!atomic_load(&s[0].is_over) && !atomic_load(&s[1].is_over) && tries-- > 0)
		(void)x_poll(s[0].side, NULL, 0, 1);
	(void)x_poll(s[0].side, NULL, 0, SHORT_MS / 10);
	say_value(name, atomic_load(&s[0].is_over) + atomic_load(&s[1].is_over));
}

/* ---- The calls. ---- */

static long in_recv(const struct sleeper *s)
{
	char bytes[4];

	return x_recv(s->fd, bytes, 1, 0);
}

static long in_waitall(const struct sleeper *s)
{
	char bytes[4];

	return x_recv(s->fd, bytes, sizeof(bytes), MSG_WAITALL);
}

static long in_peek(const struct sleeper *s)
{
	char byte;

	return x_recv(s->fd, &byte, 1, MSG_PEEK);
}

static long in_recvmmsg(const struct sleeper *s)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};

	return x_recvmmsg(s->fd, &m, 1, 0, NULL);
}

static long in_send(const struct sleeper *s)
{
	static char zeros[1 << 16];
	long rc;

	do
		rc = x_send(s->fd, zeros, sizeof(zeros), MSG_NOSIGNAL);
	while (rc > 0);
	return rc;
}

static long in_accept(const struct sleeper *s)
{
	int fd = x_accept(s->fd, NULL, NULL);

	if (fd < 0)
		return -1;
	(void)x_close(fd);
	return 0;
}

static long in_connect(const struct sleeper *s)
{
	return connect4(s->fd, s->peer);
}

/* What poll says, or 0. */
static long in_poll(const struct sleeper *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN | POLLRDHUP};
	int rc = x_poll(s->side, &p, 1, LONG_MS);

	return rc == 1 ? p.revents : rc;
}

static long in_short_poll(const struct sleeper *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	int rc = x_poll(s->side, &p, 1, SHORT_MS);

	return rc == 1 ? p.revents : rc;
}

static long in_epoll(const struct sleeper *s)
{
	struct epoll_event e;
	int rc = x_epoll_wait(s->fd, &e, 1, LONG_MS);

	return rc == 1 ? (long)e.events : rc;
}

/* With a mask: no signal is blocked. */
static long in_ppoll(const struct sleeper *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	sigset_t none;

	sigemptyset(&none);
	return stack_of(s->side) ? weft_ppoll(&p, 1, NULL, &none) : ppoll(&p, 1, NULL, &none);
}

static void set_time(int fd, int option, int ms)
{
	const struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)x_setsockopt(fd, SOL_SOCKET, option, &limit, sizeof(limit));
}

/* ---- shutdown, and the peer's ends. ---- */

static void by_shutdown(const char *name, long (*call)(const struct sleeper *s), int how)
{
	struct sleeper s = {0};
	int fd[SIDES];

	make_connection(fd);
	start(&s, SERVER, fd[SERVER], call);
	(void)x_shutdown(fd[SERVER], how);
	end(name, &s);
	close_both(fd);
}

static void shutdowns(void)
{
	struct sleeper s = {0};
	uint16_t port;

	say_prefix("shutdown");
	by_shutdown("recv_rd", in_recv, SHUT_RD);
	by_shutdown("recv_rdwr", in_recv, SHUT_RDWR);
	by_shutdown("waitall_rd", in_waitall, SHUT_RD);
	by_shutdown("peek_rd", in_peek, SHUT_RD);
	by_shutdown("send_wr", in_send, SHUT_WR);
	by_shutdown("send_rdwr", in_send, SHUT_RDWR);
	by_shutdown("poll_rd", in_poll, SHUT_RD);
	by_shutdown("poll_rdwr", in_poll, SHUT_RDWR);
	int listener = make_listener(&port, 5);
	start(&s, SERVER, listener, in_accept);
	(void)x_shutdown(listener, SHUT_RD);
	end("accept", &s);
	(void)x_close(listener);
	listener = make_listener(&port, 5);
	start(&s, SERVER, listener, in_poll);
	(void)x_shutdown(listener, SHUT_RDWR);
	end("poll_listener", &s);
	(void)x_close(listener);
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());
	for (int i = 0; i < 3; i++) {
		static long (*const calls[])(const struct sleeper *s) = {in_recv, in_recvmmsg,
									 in_poll};
		static const char *const names[] = {"udp_recv", "udp_recvmmsg", "udp_poll"};
		int fd = x_socket(SERVER, AF_INET, SOCK_DGRAM, 0);

		in.sin_port = htons(fresh_port());
		(void)x_bind(fd, (struct sockaddr *)&in, sizeof(in));
		start(&s, SERVER, fd, calls[i]);
		say(i == 0 ? "udp_1" : i == 1 ? "udp_2" : "udp_3", x_shutdown(fd, SHUT_RD));
		end(names[i], &s);
		(void)x_close(fd);
	}
}

/* connect, to a listener whose queue is full. */
static void connects(void)
{
	enum { MANY = 8 };

	struct sleeper s = {0};
	int fds[MANY], n = 0;
	uint16_t port;
	int listener = make_listener(&port, 0);
	struct pollfd p = {.events = POLLOUT};

	say_prefix("connect");
	do {
		p.fd = fds[n++] = tcp4(CLIENT);
		(void)x_fcntl(p.fd, F_SETFL, O_NONBLOCK);
		(void)connect4(p.fd, addr4_of(SERVER, port));
	} while (n < MANY && x_poll(CLIENT, &p, 1, SHORT_MS) == 1);
	int fd = tcp4(CLIENT);
	set_time(fd, SO_SNDTIMEO, SHORT_MS);
	say("timeout", connect4(fd, addr4_of(SERVER, port)));
	say("timeout_again", connect4(fd, addr4_of(SERVER, port)));
	(void)x_close(fd);
	fd = tcp4(CLIENT);
	s.peer = addr4_of(SERVER, port);
	start(&s, CLIENT, fd, in_connect);
	say("shutdown", x_shutdown(fd, SHUT_RDWR));
	end("after_shutdown", &s);
	say_value("error", so_error(fd));
	(void)x_close(fd);
	(void)x_close(listener);
	while (n > 0)
		(void)x_close(fds[--n]);
}

static void by_peer(void)
{
	struct sleeper s[2] = {0};
	int fd[SIDES];

	say_prefix("peer");
	make_connection(fd);
	start(&s[0], SERVER, fd[SERVER], in_recv);
	start(&s[1], SERVER, fd[SERVER], in_recv);
	(void)x_send(fd[CLIENT], "a", 1, 0);
	end_one_of("byte_wakes", s);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	(void)pthread_join(s[0].thread, NULL);
	(void)pthread_join(s[1].thread, NULL);
	say_value("end_wakes", s[0].rc + s[1].rc);
	close_both(fd);
	make_connection(fd);
	start(&s[0], SERVER, fd[SERVER], in_recv);
	start(&s[1], SERVER, fd[SERVER], in_recv);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)x_close(fd[CLIENT]);
	(void)pthread_join(s[0].thread, NULL);
	(void)pthread_join(s[1].thread, NULL);
	say_value("reset_told_once", s[0].rc + s[1].rc);
	errno = s[0].rc == -1 ? s[0].error : s[1].error;
	say("reset", -1);
	(void)x_close(fd[SERVER]);
	make_connection(fd);
	start(&s[0], SERVER, fd[SERVER], in_send);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)x_close(fd[CLIENT]);
	end("reset_send", &s[0]);
	say("reset_send_again", x_send(fd[SERVER], "x", 1, MSG_NOSIGNAL));
	(void)x_close(fd[SERVER]);
	make_connection(fd);
	start(&s[0], SERVER, fd[SERVER], in_waitall);
	(void)x_send(fd[CLIENT], "ab", 2, 0);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	end("end_waitall", &s[0]);
	close_both(fd);
}

/* ---- One event, two sleepers. ---- */

static void accepts(void)
{
	struct sleeper s[2] = {0};
	uint16_t port;
	int listener = make_listener(&port, 5), client = tcp4(CLIENT);

	say_prefix("two");
	start(&s[0], SERVER, listener, in_accept);
	start(&s[1], SERVER, listener, in_accept);
	say("connect", connect4(client, addr4_of(SERVER, port)));
	end_one_of("accept_wakes", s);
	(void)x_shutdown(listener, SHUT_RD);
	(void)pthread_join(s[0].thread, NULL);
	(void)pthread_join(s[1].thread, NULL);
	say_value("accept_both", s[0].rc + s[1].rc);
	(void)x_close(client);
	(void)x_close(listener);
}

static void polls(void)
{
	struct sleeper s[2] = {0};
	int fd[SIDES];

	make_connection(fd);
	start(&s[0], SERVER, fd[SERVER], in_poll);
	start(&s[1], SERVER, fd[SERVER], in_poll);
	(void)x_send(fd[CLIENT], "a", 1, 0);
	end("poll", &s[0]);
	end("poll_other", &s[1]);
	(void)x_recv(fd[SERVER], &(char){0}, 1, 0);
	int ep = x_epoll_create1(SERVER, 0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	(void)x_epoll_ctl(ep, EPOLL_CTL_ADD, fd[SERVER], &e);
	start(&s[0], SERVER, ep, in_epoll);
	start(&s[1], SERVER, ep, in_epoll);
	(void)x_send(fd[CLIENT], "a", 1, 0);
	end_one_of("edge_wakes", s);
	(void)x_send(fd[CLIENT], "b", 1, 0);
	end("edge", &s[0]);
	end("edge_other", &s[1]);
	e.events = EPOLLOUT;
	start(&s[0], SERVER, ep, in_epoll);
	(void)x_epoll_ctl(ep, EPOLL_CTL_MOD, fd[SERVER], &e);
	end("mod", &s[0]);
	(void)x_close(ep);
	close_both(fd);
}

/* ---- close by another thread; every call has a timeout. ---- */

static void closes(void)
{
	static const struct {
		const char *name;
		long (*call)(const struct sleeper *s);
	} calls[] = {{"recv", in_recv},
		     {"waitall", in_waitall},
		     {"peek", in_peek},
		     {"poll", in_short_poll}};
	struct sleeper s = {0};
	int fd[SIDES];
	uint16_t port;

	say_prefix("close");
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		make_connection(fd);
		set_time(fd[SERVER], SO_RCVTIMEO, SHORT_MS);
		set_time(fd[SERVER], SO_SNDTIMEO, SHORT_MS);
		start(&s, SERVER, fd[SERVER], calls[i].call);
		(void)x_close(fd[SERVER]);
		end(calls[i].name, &s);
		(void)x_close(fd[CLIENT]);
	}
	int listener = make_listener(&port, 5);
	set_time(listener, SO_RCVTIMEO, SHORT_MS);
	start(&s, SERVER, listener, in_accept);
	(void)x_close(listener);
	end("accept", &s);
	listener = make_listener(&port, 5);
	set_time(listener, SO_RCVTIMEO, SHORT_MS / 3);
	say("accept_timeout", x_accept(listener, NULL, NULL));
	(void)x_close(listener);
}

/* ---- Signals. ---- */

static atomic_int signals;

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals, 1);
}

static void handle(int number, int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	(void)sigaction(number, &action, NULL);
}

/* A signal ends the call, or a byte that comes after the handler does. */
static void by_signal(const char *name, long (*call)(const struct sleeper *s), int flags, int ms)
{
	struct sleeper s = {0};
	int fd[SIDES], before = atomic_load(&signals);

	handle(SIGUSR1, flags);
	make_connection(fd);
	set_time(fd[SERVER], SO_RCVTIMEO, ms);
	start(&s, SERVER, fd[SERVER], call);
	(void)pthread_kill(s.thread, SIGUSR1);
	while (atomic_load(&signals) == before)
		(void)sched_yield();
	/* Until it is over, or asleep again. */
	for (int seen = 0; seen < 5 && !atomic_load(&s.is_over);) {
		seen = is_asleep(&s) ? seen + 1 : 0;
		(void)x_poll(SERVER, NULL, 0, 1);
	}
	(void)x_send(fd[CLIENT], "x", 1, 0);
	end(name, &s);
	close_both(fd);
}

static void by_signals(void)
{
	say_prefix("signal");
	by_signal("recv", in_recv, 0, 0);
	by_signal("recv_restart", in_recv, SA_RESTART, 0);
	by_signal("recv_restart_timeout", in_recv, SA_RESTART, LONG_MS);
	by_signal("poll", in_poll, 0, 0);
	by_signal("poll_restart", in_poll, SA_RESTART, 0);
	by_signal("ppoll", in_ppoll, 0, 0);
	by_signal("ppoll_restart", in_ppoll, SA_RESTART, 0);
	(void)signal(SIGUSR1, SIG_DFL);
}

static void pipes(void)
{
	int fd[SIDES];

	say_prefix("sigpipe");
	make_connection(fd);
	(void)x_shutdown(fd[SERVER], SHUT_WR);
	atomic_store(&signals, 0);
	handle(SIGPIPE, 0);
	say("nosignal", x_send(fd[SERVER], "x", 1, MSG_NOSIGNAL));
	say_value("nosignal_signals", atomic_load(&signals));
	say("send", x_send(fd[SERVER], "x", 1, 0));
	say_value("send_signals", atomic_load(&signals));
	say("write", x_write(fd[SERVER], "x", 1));
	say_value("write_signals", atomic_load(&signals));
	(void)signal(SIGPIPE, SIG_IGN);
	close_both(fd);
}

void topic_threads(void)
{
	shutdowns();
	connects();
	by_peer();
	accepts();
	polls();
	closes();
	by_signals();
	pipes();
}
