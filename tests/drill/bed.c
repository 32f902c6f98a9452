/*
 * The bed: turns, virtual clock and scripted device; see bed.h.  'mu' guards everything but the
 * packets on their way in and out, which only the thread with the turn touches.  While the stack opens
 * and closes there are no turns: threads run freely until they park for the first time, and from
 * 'is_free' on.
 */
#include "bed.h"

#include "net/base/check.h"
#include "net/base/sync.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	START_US = 1000000000, /* the clock's first reading */
	ROUNDS_MAX = 100000,
	QUIET_ROUNDS = 2,
	STACK_THREADS = 2, /* that park: RX and TX; the loop device's reader never has work */
};

enum seat { SEAT_READ, SEAT_TIMER, SEAT_CALL };

/* A thread of the stack's or of the bed's, parked or running. */
struct runner {
	struct runner *next;
	enum seat seat;
	bool has_turn;
	bool is_late; /* result of the wait: the deadline has passed */
	struct cond turn;
	weft_time_us deadline;
	const void *waits_for;
	/* SEAT_CALL only. */
	struct bed *bed;
	struct bed_call *call;
	pthread_t thread;
};

struct inbound {
	struct inbound *next;
	size_t len;
	uint8_t data[];
};

struct bed {
	struct weft_dev dev;
	struct weft_clock clock;
	struct weft_stack *stack;
	struct mutex mu;
	struct cond parked; /* whoever had the turn gave it back */
	struct cond woken;  /* the device's wake, while free */
	struct runner *runners;
	unsigned parked_count;
	weft_time_us now;
	unsigned activity;
	bool is_running; /* somebody has the turn */
	bool is_free;
	bool is_woken;
	bool is_over; /* the bed's own threads end */
	struct inbound *in_head, **in_tail;
	struct bed_packet *out_head, **out_tail;
};

static _Thread_local struct runner *self;

/* ---- Turns. ---- */

static struct runner *runner_new(struct bed *bed, enum seat seat)
{
	struct runner *r = calloc(1, sizeof(*r));

	WEFT_ASSERT(r);
	r->seat = seat;
	r->bed = bed;
	r->deadline = WEFT_TIME_NEVER;
	cond_init(&r->turn);
	/* At the end: turns go round in the order in which the threads came. */
	struct runner **at = &bed->runners;

	while (*at)
		at = &(*at)->next;
	*at = r;
	return r;
}

/* Gives the turn back and sleeps until the next one; false when threads are free now. */
static bool park(struct bed *bed, const void *waits_for, weft_time_us deadline) REQUIRES(bed->mu)
{
	if (self->waits_for != waits_for || self->deadline != deadline)
		bed->activity++;
	self->waits_for = waits_for;
	self->deadline = deadline;
	bed->parked_count++;
	bed->is_running = false;
	cond_signal(&bed->parked);
	while (!self->has_turn && !bed->is_free)
		cond_wait(&self->turn, &bed->mu);
	self->has_turn = false;
	bed->parked_count--;
	return !bed->is_free;
}

static NO_TSA void give_turn(struct bed *bed, struct runner *r)
{
	r->is_late = r->deadline <= bed->now;
	r->has_turn = true;
	bed->is_running = true;
	cond_signal(&r->turn);
	while (bed->is_running)
		cond_wait(&bed->parked, &bed->mu);
}

/* ---- The clock. ---- */

static int64_t clock_now(void *ctx)
{
	struct bed *bed = ctx;

	/* The TX thread asks for the time when it has something to do, never while it waits. */
	if (self && self->seat == SEAT_TIMER)
		bed->activity++;
	return bed->now;
}

static NO_TSA int clock_wait(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex,
			     int64_t deadline)
{
	struct bed *bed = ctx;
	struct mutex *m = CONTAINER_OF(mutex, struct mutex, m);

	mutex_lock(&bed->mu);
	if (!self)
		self = runner_new(bed, SEAT_TIMER);
	if (bed->is_free) {
		mutex_unlock(&bed->mu);
		return deadline <= bed->now ? ETIMEDOUT : pthread_cond_wait(cond, mutex);
	}
	mutex_unlock(m);
	bool is_late = park(bed, cond, deadline) && self->is_late;

	mutex_unlock(&bed->mu);
	mutex_lock(m);
	return is_late ? ETIMEDOUT : 0;
}

/* ---- The device. ---- */

static struct bed *bed_of(struct weft_dev *dev)
{
	return CONTAINER_OF(dev, struct bed, dev);
}

/* Free threads wait here for the stack's end. */
static NO_TSA void wait_woken(struct bed *bed)
{
	while (!bed->is_woken)
		cond_wait(&bed->woken, &bed->mu);
	bed->is_woken = false;
}

static NO_TSA int dev_read(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout)
{
	struct bed *bed = bed_of(dev);
	int n = 0;

	mutex_lock(&bed->mu);
	if (!self)
		self = runner_new(bed, SEAT_READ);
	if (timeout != 0 && !bed->is_free)
		park(bed, bed, WEFT_TIME_NEVER);
	if (timeout != 0 && bed->is_free)
		wait_woken(bed);
	for (; n < count && bed->in_head; n++) {
		struct inbound *p = bed->in_head;
		struct weft_pkt *to = &pkts[n];

		WEFT_ASSERT(to->iov[0].iov_len >= p->len);
		memcpy(to->iov[0].iov_base, p->data, p->len);
		to->len = (uint32_t)p->len;
		to->flags = 0;
		to->gso_size = 0;
		bed->in_head = p->next;
		if (!bed->in_head)
			bed->in_tail = &bed->in_head;
		bed->activity++;
		free(p);
	}
	mutex_unlock(&bed->mu);
	return n;
}

static int dev_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	struct bed *bed = bed_of(dev);

	mutex_lock(&bed->mu);
	for (int i = 0; i < count && !bed->is_free; i++) {
		struct bed_packet *p = malloc(sizeof(*p) + pkts[i].len);
		size_t at = 0;

		WEFT_ASSERT(p);
		*p = (struct bed_packet){.at = bed->now, .len = pkts[i].len};
		for (uint32_t k = 0; k < pkts[i].iov_count && at < p->len; k++) {
			size_t size = pkts[i].iov[k].iov_len;

			size = size < p->len - at ? size : p->len - at;
			memcpy(p->data + at, pkts[i].iov[k].iov_base, size);
			at += size;
		}
		*bed->out_tail = p;
		bed->out_tail = &p->next;
		bed->activity++;
	}
	mutex_unlock(&bed->mu);
	return count;
}

static void dev_wake(struct weft_dev *dev)
{
	struct bed *bed = bed_of(dev);

	mutex_lock(&bed->mu);
	bed->is_woken = true;
	cond_signal(&bed->woken);
	mutex_unlock(&bed->mu);
}

static void dev_close(struct weft_dev *dev)
{
	(void)dev; /* goes with the bed */
}

/* ---- Calls. ---- */

static NO_TSA void *call_main(void *arg)
{
	struct runner *r = arg;
	struct bed *bed = r->bed;

	self = r;
	mutex_lock(&bed->mu);
	for (;;) {
		if (!bed->is_free)
			park(bed, r, WEFT_TIME_NEVER);
		if (!r->call && (bed->is_free || bed->is_over))
			break;
		if (!r->call)
			continue;
		struct bed_call *call = r->call;

		mutex_unlock(&bed->mu);
		call->run(call);
		mutex_lock(&bed->mu);
		call->is_done = true;
		call->done_at = bed->now;
		r->call = NULL;
		bed->activity++;
	}
	mutex_unlock(&bed->mu);
	return NULL;
}

/* A thread without a call. */
static NO_TSA struct runner *idle_runner(struct bed *bed)
{
	for (struct runner *r = bed->runners; r; r = r->next)
		if (r->seat == SEAT_CALL && !r->call)
			return r;
	struct runner *r = runner_new(bed, SEAT_CALL);
	unsigned before = bed->parked_count;
	int rc = thread_start(&r->thread, "drill-call", call_main, r);

	WEFT_ASSERT(rc == 0);
	while (bed->parked_count == before)
		cond_wait(&bed->parked, &bed->mu);
	return r;
}

void bed_call(struct bed *bed, struct bed_call *call)
{
	mutex_lock(&bed->mu);
	idle_runner(bed)->call = call;
	bed->activity++;
	mutex_unlock(&bed->mu);
}

/* ---- Driving. ---- */

/* One turn for everybody who may have something to do. */
static NO_TSA void go_round(struct bed *bed)
{
	for (struct runner *r = bed->runners; r; r = r->next)
		while (r->seat == SEAT_READ && bed->in_head)
			give_turn(bed, r);
	for (struct runner *r = bed->runners; r; r = r->next)
		if (r->seat == SEAT_TIMER || (r->seat == SEAT_CALL && r->call))
			give_turn(bed, r);
}

bool bed_settle(struct bed *bed)
{
	unsigned quiet = 0;
	unsigned rounds = 0;

	mutex_lock(&bed->mu);
	while (quiet < QUIET_ROUNDS && rounds++ < ROUNDS_MAX) {
		unsigned before = bed->activity;

		go_round(bed);
		quiet = bed->activity == before ? quiet + 1 : 0;
	}
	mutex_unlock(&bed->mu);
	return quiet == QUIET_ROUNDS;
}

bool bed_step(struct bed *bed, weft_time_us limit)
{
	weft_time_us next = limit;

	mutex_lock(&bed->mu);
	bool has_time = bed->now < limit;

	for (struct runner *r = bed->runners; r; r = r->next)
		if (r->seat == SEAT_TIMER || (r->seat == SEAT_CALL && r->call))
			next = time_min(next, time_max(r->deadline, bed->now));
	if (has_time)
		bed->now = next;
	mutex_unlock(&bed->mu);
	return has_time && bed_settle(bed);
}

void bed_inject(struct bed *bed, const void *data, size_t len)
{
	struct inbound *p = malloc(sizeof(*p) + len);

	WEFT_ASSERT(p);
	*p = (struct inbound){.len = len};
	memcpy(p->data, data, len);
	*bed->in_tail = p;
	bed->in_tail = &p->next;
}

struct bed_packet *bed_take(struct bed *bed)
{
	struct bed_packet *p = bed->out_head;

	if (!p)
		return NULL;
	bed->out_head = p->next;
	if (!bed->out_head)
		bed->out_tail = &bed->out_head;
	return p;
}

const struct bed_packet *bed_peek(const struct bed *bed)
{
	return bed->out_head;
}

struct weft_stack *bed_stack(struct bed *bed)
{
	return bed->stack;
}

weft_time_us bed_now(const struct bed *bed)
{
	return bed->now;
}

/* ---- Life. ---- */

static void bed_free(struct bed *bed)
{
	struct runner *r = bed->runners;
	struct bed_packet *out;

	while (r) {
		struct runner *next = r->next;

		cond_fini(&r->turn);
		free(r);
		r = next;
	}
	while (bed->in_head) {
		struct inbound *p = bed->in_head;

		bed->in_head = p->next;
		free(p);
	}
	while ((out = bed_take(bed)))
		free(out);
	cond_fini(&bed->parked);
	cond_fini(&bed->woken);
	mutex_fini(&bed->mu);
	free(bed);
}

static struct bed *bed_new(uint32_t mtu)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	WEFT_ASSERT(bed);
	bed->dev = (struct weft_dev){.name = "drill0",
				     .mtu = mtu,
				     .read = dev_read,
				     .write = dev_write,
				     .wake = dev_wake,
				     .close = dev_close};
	bed->clock = (struct weft_clock){.ctx = bed, .now = clock_now, .wait = clock_wait};
	bed->now = START_US;
	mutex_init(&bed->mu);
	cond_init(&bed->parked);
	cond_init(&bed->woken);
	bed->in_tail = &bed->in_head;
	bed->out_tail = &bed->out_head;
	return bed;
}

struct bed *bed_open(struct weft_config *config, uint32_t mtu, char *why, size_t why_size)
{
	struct bed *bed = bed_new(mtu);

	self = NULL;
	config->dev = &bed->dev;
	config->clock = &bed->clock;
	bed->stack = weft_stack_open(config, why, why_size);
	if (!bed->stack) {
		bed_free(bed);
		return NULL;
	}
	mutex_lock(&bed->mu);
	while (bed->parked_count < STACK_THREADS)
		cond_wait(&bed->parked, &bed->mu);
	mutex_unlock(&bed->mu);
	return bed;
}

void bed_close(struct bed *bed)
{
	mutex_lock(&bed->mu);
	bed->is_over = true;
	bed->is_free = true;
	for (struct runner *r = bed->runners; r; r = r->next)
		cond_signal(&r->turn);
	mutex_unlock(&bed->mu);
	weft_stack_close(bed->stack);
	for (struct runner *r = bed->runners; r; r = r->next)
		if (r->seat == SEAT_CALL)
			thread_join(r->thread);
	bed_free(bed);
}
