/*
 * pthread_cancel against every call that blocks, at any moment of it: nothing is left locked, leaked or
 * lost, and the sockets go on.
 */
#include "kit.h"

#include "net/base/prng.h"
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROUNDS = 12, BULK = 1 << 20, TAKE_MAX = 8000 };

/* What the calls are made on. */
struct scene {
	struct kit kit;
	int fds[2]; /* a connection of which nobody reads fds[1] */
	int listener;
	int nobody; /* a socket that is not connected */
	int udp;
	int set;
	int file; /* of BULK bytes */
};

static char bulk[BULK];

/* ---- The calls.  None of them comes back by itself. ---- */

static void in_recv(struct scene *s)
{
	char byte;

	(void)weft_recv(s->fds[0], &byte, 1, 0);
}

static void in_recv_nothing(struct scene *s)
{
	(void)weft_recv(s->fds[0], NULL, 0, 0);
}

static void in_readv(struct scene *s)
{
	char bytes[2];
	struct iovec iov[2] = {{bytes, 1}, {bytes + 1, 1}};

	(void)weft_readv(s->fds[0], iov, 2);
}

static void in_recvfrom(struct scene *s)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	char byte;

	(void)weft_recvfrom(s->udp, &byte, 1, 0, (struct sockaddr *)(void *)&from, &len);
}

static void in_recvmsg(struct scene *s)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	(void)weft_recvmsg(s->fds[0], &m, 0);
}

static void in_recvmmsg(struct scene *s)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct mmsghdr m[2] = {{.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}},
			       {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}}};

	(void)weft_recvmmsg(s->udp, m, 2, 0, NULL);
}

static void in_send(struct scene *s)
{
	while (weft_send(s->fds[0], bulk, sizeof(bulk), 0) > 0)
		continue;
}

static void in_sendmsg(struct scene *s)
{
	struct iovec iov = {bulk, sizeof(bulk)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	while (weft_sendmsg(s->fds[0], &m, 0) > 0)
		continue;
}

static void in_sendfile(struct scene *s)
{
	off_t at = 0;

	while (weft_sendfile(s->fds[0], s->file, &at, BULK) > 0)
		at = 0;
}

static void in_accept(struct scene *s)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	(void)weft_accept(s->listener, (struct sockaddr *)(void *)&from, &len);
}

static void in_connect(struct scene *s)
{
	while (kit_connect(s->nobody, "192.0.2.99", 9) != 0)
		continue; /* again, when the SYNs have come to nothing */
}

static void in_poll(struct scene *s)
{
	struct pollfd fds[40]; /* more than are kept on the stack */

	for (int i = 0; i < 40; i++)
		fds[i] = (struct pollfd){.fd = s->fds[0], .events = POLLIN};
	(void)weft_poll(fds, 40, -1);
}

static void in_poll_of_nothing(struct scene *s)
{
	(void)s;
	(void)weft_poll(NULL, 0, -1);
}

static void in_select(struct scene *s)
{
	static _Thread_local weft_fd_set set;

	WEFT_FD_ZERO(&set);
	WEFT_FD_SET(s->fds[0], &set);
	(void)weft_select(s->fds[0] + 1, &set, NULL, NULL, NULL);
}

static void in_epoll_wait(struct scene *s)
{
	struct epoll_event event;

	(void)weft_epoll_wait(s->set, &event, 1, -1);
}

/* With masks of their own, of which nothing stays behind. */
static void is_unmasked(const sigset_t *own)
{
	sigset_t mask;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	CU_ASSERT(sigismember(&mask, SIGUSR1) == sigismember(own, SIGUSR1) &&
		  sigismember(&mask, SIGUSR2) == sigismember(own, SIGUSR2));
}

/* Blocks SIGUSR1; the call is to block SIGUSR2 instead. */
static void set_masks(sigset_t *own, sigset_t *call)
{
	sigemptyset(own);
	sigaddset(own, SIGUSR1);
	sigemptyset(call);
	sigaddset(call, SIGUSR2);
	(void)pthread_sigmask(SIG_SETMASK, own, NULL);
}

static void in_ppoll(struct scene *s)
{
	struct pollfd p = {.fd = s->fds[0], .events = POLLIN};
	sigset_t own __attribute__((cleanup(is_unmasked))), mask;

	set_masks(&own, &mask);
	(void)weft_ppoll(&p, 1, NULL, &mask);
}

static void in_pselect(struct scene *s)
{
	static _Thread_local weft_fd_set set;
	sigset_t own __attribute__((cleanup(is_unmasked))), mask;

	WEFT_FD_ZERO(&set);
	WEFT_FD_SET(s->fds[0], &set);
	set_masks(&own, &mask);
	(void)weft_pselect(INT_MAX, &set, NULL, NULL, NULL, &mask);
}

static void in_epoll_pwait(struct scene *s)
{
	sigset_t own __attribute__((cleanup(is_unmasked))), mask;
	struct epoll_event event;

	set_masks(&own, &mask);
	(void)weft_epoll_pwait(s->set, &event, 1, -1, &mask);
}

typedef void call_fn(struct scene *s);

static const struct {
	const char *name;
	call_fn *call;
} calls[] = {
	{"recv", in_recv},
	{"recv of nothing", in_recv_nothing},
	{"readv", in_readv},
	{"recvfrom", in_recvfrom},
	{"recvmsg", in_recvmsg},
	{"recvmmsg", in_recvmmsg},
	{"send", in_send},
	{"sendmsg", in_sendmsg},
	{"sendfile", in_sendfile},
	{"accept", in_accept},
	{"connect", in_connect},
	{"poll", in_poll},
	{"poll of nothing", in_poll_of_nothing},
	{"select", in_select},
	{"epoll_wait", in_epoll_wait},
	{"ppoll", in_ppoll},
	{"pselect", in_pselect},
	{"epoll_pwait", in_epoll_pwait},
};

/* ---- Threads. ---- */

struct victim {
	struct scene *scene;
	call_fn *call;
	atomic_bool begun;
	bool came_back;
	pthread_t thread;
};

static void *victim_main(void *arg)
{
	struct victim *v = arg;

	atomic_store(&v->begun, true);
	v->call(v->scene);
	v->came_back = true;
	return NULL;
}

static void begin(struct victim *v, struct scene *s, call_fn *call)
{
	*v = (struct victim){.scene = s, .call = call};
	CU_ASSERT_FATAL(pthread_create(&v->thread, NULL, victim_main, v) == 0);
	while (!atomic_load(&v->begun))
		(void)sched_yield();
}

/* Whether it went by cancellation. */
static bool end(struct victim *v)
{
	void *result;

	CU_ASSERT(pthread_join(v->thread, &result) == 0);
	CU_ASSERT((result == PTHREAD_CANCELED) == !v->came_back);
	return !v->came_back;
}

static void let_go_on(struct prng *prng)
{
	if (prng_below(prng, 4) == 0)
		kit_pause(); /* long enough to be asleep, as a rule */
	for (unsigned i = prng_below(prng, 40); i > 0; i--)
		(void)sched_yield();
}

static void open_scene(struct scene *s)
{
	struct epoll_event event = {.events = EPOLLIN};

	kit_open(&s->kit);
	kit_join(&s->kit, s->fds);
	s->listener = kit_listener(s->kit.b, KIT_B4, 81, 5);
	s->nobody = kit_socket(s->kit.a, AF_INET);
	s->udp = weft_socket(s->kit.a, AF_INET, SOCK_DGRAM, 0);
	s->set = weft_epoll_create1(s->kit.a, 0);
	GIVES(weft_epoll_ctl(s->set, EPOLL_CTL_ADD, s->fds[0], &event), 0);
	s->file = memfd_create("bulk", MFD_CLOEXEC);
	CU_ASSERT(s->file >= 0 && ftruncate(s->file, BULK) == 0);
}

static void close_scene(struct scene *s)
{
	GIVES(weft_close(s->set), 0);
	GIVES(weft_close(s->udp), 0);
	GIVES(weft_close(s->nobody), 0);
	GIVES(weft_close(s->listener), 0);
	GIVES(weft_close(s->fds[0]), 0);
	GIVES(weft_close(s->fds[1]), 0);
	(void)close(s->file);
	kit_close(&s->kit);
}

/* What was cancelled on can be used: bytes in order, connections, datagrams. */
static void use(struct scene *s)
{
	static char in[1 << 16];
	char byte = 0;
	int client;

	GIVES(weft_send(s->fds[1], "x", 1, 0), 1);
	GIVES(weft_recv(s->fds[0], &byte, 1, 0), 1);
	CU_ASSERT_EQUAL(byte, 'x');
	/* What sends left behind may be any number of bytes. */
	GIVES(weft_shutdown(s->fds[0], SHUT_WR), 0);
	while (weft_recv(s->fds[1], in, sizeof(in), 0) > 0)
		continue;
	client = kit_socket(s->kit.a, AF_INET);
	GIVES(kit_connect(client, KIT_B4, 81), 0);
	int child = weft_accept(s->listener, NULL, NULL);

	CU_ASSERT(child > 0);
	GIVES(weft_close(child), 0);
	GIVES(weft_close(client), 0);
}

/* ---- The tests. ---- */

static void test_every_call(void)
{
	struct prng prng;
	uint64_t seed = unit_seed();

	prng_init(&prng, seed);
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		struct scene s;

		open_scene(&s);
		for (int round = 0; round < ROUNDS; round++) {
			struct victim v[2];

			begin(&v[0], &s, calls[i].call);
			begin(&v[1], &s, calls[i].call);
			let_go_on(&prng);
			CU_ASSERT(pthread_cancel(v[0].thread) == 0);
			bool is_gone = end(&v[0]);

			CU_ASSERT(pthread_cancel(v[1].thread) == 0);
			is_gone = end(&v[1]) && is_gone;
			if (!is_gone)
				printf("%s came back, seed %llu\n", calls[i].name,
				       (unsigned long long)seed);
			CU_ASSERT_TRUE(is_gone);
		}
		use(&s);
		close_scene(&s);
	}
}

/* A cancelled thread is cancelled in the next call already, and has not begun it. */
static void test_at_entry(void)
{
	struct scene s;
	char byte;

	open_scene(&s);
	GIVES(weft_send(s.fds[1], "x", 1, 0), 1);
	while (weft_recv(s.fds[0], &byte, 1, MSG_PEEK) != 1)
		continue;
	for (int i = 0; i < ROUNDS; i++) {
		struct victim v;

		begin(&v, &s, in_recv);
		(void)pthread_cancel(v.thread);
		if (!end(&v))
			GIVES(weft_send(s.fds[1], "x", 1, 0), 1);
		/* Taken or not, it is not lost. */
		GIVES(weft_recv(s.fds[0], &byte, 1, MSG_PEEK), 1);
	}
	GIVES(weft_recv(s.fds[0], &byte, 1, 0), 1);
	close_scene(&s);
}

struct taker {
	int fd;
	size_t size;
	int flags;
	ssize_t got;
	pthread_t thread;
};

static void *take(void *arg)
{
	struct taker *t = arg;

	t->got = 0;
	t->got = weft_recv(t->fd, NULL, t->size, t->flags | MSG_TRUNC);
	return NULL;
}

static void start_taker(struct taker *t, int fd, size_t size, int flags)
{
	*t = (struct taker){.fd = fd, .size = size, .flags = flags};
	CU_ASSERT_FATAL(pthread_create(&t->thread, NULL, take, t) == 0);
}

static void join_taker(const struct taker *t)
{
	CU_ASSERT(pthread_join(t->thread, NULL) == 0);
}

/* Readers that are cancelled while bytes come: each byte is one's, and nobody sleeps beside some. */
static void test_no_byte_lost(void)
{
	struct prng prng;
	struct scene s;

	prng_init(&prng, unit_seed());
	open_scene(&s);
	for (int round = 0; round < 10 * ROUNDS; round++) {
		struct taker t[3];
		char byte;

		for (int i = 0; i < 3; i++)
			start_taker(&t[i], s.fds[0], 1, 0);
		let_go_on(&prng);
		GIVES(weft_send(s.fds[1], "ab", 2, 0), 2);
		(void)pthread_cancel(t[0].thread);
		join_taker(&t[0]);
		if (t[0].got == 1) /* then one of the others is left without */
			GIVES(weft_send(s.fds[1], "c", 1, 0), 1);
		join_taker(&t[1]);
		join_taker(&t[2]);
		CU_ASSERT(t[1].got == 1 && t[2].got == 1);
		FAILS(weft_recv(s.fds[0], &byte, 1, MSG_DONTWAIT), EAGAIN);
	}
	close_scene(&s);
}

/* MSG_WAITALL waits without taking a few bytes: they stay when it is cancelled. */
static void test_waitall(void)
{
	struct taker t;
	struct scene s;
	char bytes[4];

	open_scene(&s);
	GIVES(weft_send(s.fds[1], "ab", 2, 0), 2);
	start_taker(&t, s.fds[0], 4, MSG_WAITALL);
	kit_pause();
	(void)pthread_cancel(t.thread);
	join_taker(&t);
	CU_ASSERT_EQUAL(t.got, 0);
	GIVES(weft_send(s.fds[1], "cd", 2, 0), 2);
	GIVES(weft_recv(s.fds[0], bytes, 4, MSG_WAITALL), 4);
	CU_ASSERT(memcmp(bytes, "abcd", 4) == 0);
	close_scene(&s);
}

static int ask(int fd, unsigned long request)
{
	int value = -1;

	GIVES(weft_ioctl(fd, request, &value), 0);
	return value;
}

/* Who has taken bytes is past its cancellation point: the call ends as if nothing were. */
static void test_after_bytes(void)
{
	enum { FIRST = 6000 };
	struct taker t;
	struct scene s;

	open_scene(&s);
	kit_set(s.fds[0], SOL_SOCKET, SO_RCVBUF, 2048); /* of which half is worth taking */
	GIVES(weft_send(s.fds[1], bulk, FIRST, 0), FIRST);
	start_taker(&t, s.fds[0], TAKE_MAX, MSG_WAITALL);
	while (ask(s.fds[1], TIOCOUTQ) > 0 || ask(s.fds[0], FIONREAD) >= FIRST)
		kit_pause();
	(void)pthread_cancel(t.thread);
	GIVES(weft_send(s.fds[1], bulk, TAKE_MAX - FIRST, 0), TAKE_MAX - FIRST);
	join_taker(&t);
	CU_ASSERT_EQUAL(t.got, TAKE_MAX);
	close_scene(&s);
}

struct closer {
	int fd;
	pthread_t thread;
};

static void *close_it(void *arg)
{
	const struct closer *c = arg;

	(void)weft_close(c->fd);
	return NULL;
}

/* A close that lingers and is cancelled: the handle is gone or was not touched, and nothing is left. */
static void test_close(void)
{
	struct prng prng;

	prng_init(&prng, unit_seed());
	for (int round = 0; round < ROUNDS; round++) {
		const struct linger linger = {.l_onoff = 1, .l_linger = 60};
		struct closer c;
		struct scene s;

		open_scene(&s);
		GIVES(weft_setsockopt(s.fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
		while (weft_send(s.fds[0], bulk, sizeof(bulk), MSG_DONTWAIT) > 0)
			continue;
		c.fd = s.fds[0];
		CU_ASSERT_FATAL(pthread_create(&c.thread, NULL, close_it, &c) == 0);
		let_go_on(&prng);
		(void)pthread_cancel(c.thread);
		(void)pthread_join(c.thread, NULL);
		int rc = weft_setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &(struct linger){0},
					 sizeof(linger));

		if (rc == 0)
			GIVES(weft_close(c.fd), 0);
		s.fds[0] = weft_dup(s.nobody); /* for close_scene */
		GIVES(weft_close(s.fds[1]), 0);
		s.fds[1] = weft_dup(s.nobody);
		close_scene(&s);
	}
}

UNIT_MAIN("cancel", UNIT(every_call), UNIT(at_entry), UNIT(no_byte_lost), UNIT(waitall),
	  UNIT(after_bytes), UNIT(close))
