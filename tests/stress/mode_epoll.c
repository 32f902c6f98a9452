/*
 * epoll: threads wait for one epoll set, one of them for a set around it, and answer what comes; others
 * add, change and remove what is in it, poll the same sockets, and close sockets and sets under them.  All answers come, and nothing but what a close explains fails.
 */
#include "stress.h"

#include <poll.h>
#include <sched.h>

enum { CONNS = 8, WAITERS = 3, TIMEOUT_MS = STRESS_TIMEOUT_S * 1000 };

struct field {
	struct stress *stress;
	int set;   /* of the server: the conns' ends */
	int outer; /* a set with that set in it */
	int far[CONNS];
	int near[CONNS];
	atomic_bool is_over;
	struct prng prng[WAITERS + 1];
};

struct waiter {
	struct field *field;
	unsigned index;
	pthread_t thread;
};

/* Sends back what is there; another thread may have been faster. */
static void answer(struct field *field, int fd)
{
	char bytes[64];
	ssize_t n;

	while ((n = weft_recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		if (weft_send(fd, bytes, (size_t)n, 0) != n && errno != EBADF)
			FAIL(field->stress, "send");
	if (n < 0 && errno != EAGAIN && errno != EBADF && errno != ECONNRESET)
		FAIL(field->stress, "recv");
}

/* Re-arms what was one-shot; a socket may be closed, or out of the set, by now. */
static void rearm(struct field *field, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data = {.fd = fd}};

	if (weft_epoll_ctl(field->set, EPOLL_CTL_MOD, fd, &ev) != 0 && errno != EBADF &&
	    errno != ENOENT && errno != EINVAL)
		FAIL(field->stress, "mod");
}

static void *wait_main(void *arg)
{
	struct waiter *w = arg;
	struct field *field = w->field;
	struct epoll_event ev[3];

	while (!atomic_load(&field->is_over)) {
		/* One of them waits for the set around first. */
		if (w->index == 0 && weft_epoll_wait(field->outer, ev, 3, TIMEOUT_MS) < 0 &&
		    errno != EBADF)
			FAIL(field->stress, "outer");
		int n = weft_epoll_wait(field->set, ev, 3, w->index == 0 ? 0 : TIMEOUT_MS);

		if (n < 0 && errno != EBADF)
			FAIL(field->stress, "wait");
		if (n == 0 && w->index != 0)
			FAIL(field->stress, "nothing came");
		for (int i = 0; i < n; i++) {
			answer(field, ev[i].data.fd);
			rearm(field, ev[i].data.fd, EPOLLIN | EPOLLONESHOT);
		}
	}
	return NULL;
}

/* Takes sockets out of the set and puts them back, and polls them all, as long as the others work. */
static void *meddle_main(void *arg)
{
	struct field *field = arg;
	struct prng *prng = &field->prng[WAITERS];

	while (!atomic_load(&field->is_over)) {
		struct pollfd fds[CONNS];
		unsigned at = (unsigned)prng_below(prng, CONNS);
		struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT,
					 .data = {.fd = field->far[at]}};

		if (weft_epoll_ctl(field->set, EPOLL_CTL_DEL, field->far[at], NULL) == 0)
			(void)weft_epoll_ctl(field->set, EPOLL_CTL_ADD, field->far[at], &ev);
		for (int i = 0; i < CONNS; i++)
			fds[i] = (struct pollfd){.fd = field->far[i], .events = POLLIN | POLLRDHUP};
		if (weft_poll(fds, CONNS, (int)prng_below(prng, 2)) < 0)
			FAIL(field->stress, "poll");
		(void)sched_yield();
	}
	return NULL;
}

static void add(struct field *field, int set, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data = {.fd = fd}};

	if (weft_epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev) != 0)
		FAIL(field->stress, "add");
}

static void open_field(struct field *field)
{
	struct stress *stress = field->stress;

	field->set = weft_epoll_create1(stress->server, 0);
	field->outer = weft_epoll_create1(stress->server, 0);
	add(field, field->outer, field->set, EPOLLIN);
	(void)weft_epoll_eventfd(field->set);
	for (int i = 0; i < CONNS; i++) {
		field->near[i] = stress_connect(stress);
		field->far[i] = stress_accept(stress);
		if (field->near[i] < 0 || field->far[i] < 0)
			exit(2);
		add(field, field->set, field->far[i], EPOLLIN | EPOLLONESHOT);
	}
}

/* Questions to all, then all answers. */
static void ask(struct field *field, struct prng *prng)
{
	char out[16], in[16];

	for (int i = 0; i < CONNS; i++) {
		stress_fill(prng, (uint8_t *)out, sizeof(out));
		if (!stress_send_all(field->near[i], out, sizeof(out)))
			FAIL(field->stress, "question");
		if ((i & 1) && !stress_recv_all(field->near[i], in, sizeof(in)))
			FAIL(field->stress, "answer");
	}
	for (int i = 0; i < CONNS; i += 2)
		if (!stress_recv_all(field->near[i], in, sizeof(in)))
			FAIL(field->stress, "answer");
}

/* Ends in one of several orders. */
static void close_field(struct field *field, struct prng *prng)
{
	bool is_set_first = prng_below(prng, 2);

	atomic_store(&field->is_over, true);
	if (is_set_first && weft_close(field->set) != 0)
		FAIL(field->stress, "close of the set");
	for (int i = 0; i < CONNS; i++)
		if (weft_close(field->far[i]) != 0)
			FAIL(field->stress, "close");
	if (!is_set_first && weft_close(field->set) != 0)
		FAIL(field->stress, "close of the set");
	if (weft_close(field->outer) != 0)
		FAIL(field->stress, "close of the outer set");
	for (int i = 0; i < CONNS; i++)
		(void)weft_close(field->near[i]);
}

static void round_of_epoll(struct stress *stress, struct prng *prng)
{
	struct field field = {.stress = stress};
	struct waiter waiters[WAITERS];
	pthread_t meddler;

	atomic_init(&field.is_over, false);
	for (unsigned i = 0; i <= WAITERS; i++)
		prng_init(&field.prng[i], prng_below(prng, 1 << 30));
	open_field(&field);
	for (unsigned i = 0; i < WAITERS; i++) {
		waiters[i] = (struct waiter){.field = &field, .index = i};
		if (thread_start(&waiters[i].thread, "waiter", wait_main, &waiters[i]) != 0)
			exit(2);
	}
	if (thread_start(&meddler, "meddler", meddle_main, &field) != 0)
		exit(2);
	for (unsigned i = 1 + (unsigned)prng_below(prng, 5); i > 0; i--)
		ask(&field, prng);
	close_field(&field, prng);
	for (unsigned i = 0; i < WAITERS; i++)
		thread_join(waiters[i].thread);
	thread_join(meddler);
}

void mode_epoll(struct stress *stress)
{
	struct prng prng;

	prng_init(&prng, stress->seed);
	stress->listener = stress_listen(stress, CONNS);
	for (unsigned round = 0; stress_more(stress, round); round++)
		round_of_epoll(stress, &prng);
	(void)weft_close(stress->listener);
}
