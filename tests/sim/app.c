/*
 * The application on an end: writes and reads by a random plan, ends by shutdown, close or abort,
 * and compares what it reads with what the other end wrote.
 */
#include "net/base/check.h"
#include "sim.h"
#include <string.h>

void app_plan(struct sim_end *e)
{
	struct prng *p = &e->sim->prng;

	e->total = prng_below(p, 4) ? prng_below(p, 60000) : prng_below(p, 300000);
	if (prng_below(p, 6) == 0)
		e->total = prng_below(p, 3);
	e->write_max = prng_below(p, 4) ? 1 + prng_below(p, 20000) : 1 + prng_below(p, 200);
	if (e->write_max < 100 && e->total > 5000)
		e->total = 5000;
	e->small_writes = prng_below(p, 2);
	e->read_max = 1 + prng_below(p, prng_below(p, 3) ? 50000 : 500);
	e->write_pause = prng_below(p, 2) ? 0 : prng_below(p, 50000);
	e->read_pause = prng_below(p, 2) ? 0 : prng_below(p, 100000);
	if (e->read_max < 2000 && e->read_pause > 1000)
		e->read_pause = 1000; /* or it would take hours */
	e->ending = SIM_SHUTDOWN;
	if (prng_below(p, 8) == 0)
		e->ending = SIM_CLOSE;
	else if (prng_below(p, 10) == 0)
		e->ending = SIM_ABORT;
	e->abort_at = prng_below(p, e->total + 1);
	e->write_at = e->read_at = WEFT_TIME_NEVER;
}

/* The next 'size' bytes of the stream. */
static void push_buf(struct sim_end *e, struct buf_queue *q, uint32_t size)
{
	struct buf *b = buf_new(e->sim->pool, size + prng_below(&e->sim->prng, 100));

	WEFT_ASSERT(b);
	b->len = size;
	stream_fill(b->data, e->queued, size, e->index);
	buf_queue_push(q, b);
	e->queued += size;
}

static void write_some(struct sim_end *e)
{
	struct prng *p = &e->sim->prng;
	struct buf_queue q = {.head = NULL};
	uint32_t want = 1 + prng_below(p, e->write_max), room = tcp_send_room(&e->tcb);
	unsigned events = 0;
	uint8_t bytes[64];

	want = want < e->total - e->queued ? want : e->total - e->queued;
	want = want < room ? want : room;
	if (e->small_writes && want <= sizeof(bytes)) {
		stream_fill(bytes, e->queued, want, e->index);
		uint32_t packed = tcp_send_pack(&e->tcb, bytes, want, &events);
		e->queued += packed;
		want -= packed;
	}
	while (want > 0) {
		uint32_t part = 1 + prng_below(p, 16384);
		part = part < want ? part : want;
		push_buf(e, &q, part);
		want -= part;
	}
	if (q.bytes > 0)
		tcp_send(&e->tcb, &q, &events);
	e->writes++;
	if (e->cc_next && e->writes == e->cc_next_at) {
		memset(e->cc_more[1], 0, sizeof(e->cc_more[1]));
		tcp_set_congestion(&e->tcb, e->cc_next,
				   e->cc_next->more_size > 0 ? e->cc_more[1] : NULL, e->sim->now);
	}
	end_after_call(e, events);
}

void app_preload(struct sim_end *e)
{
	struct prng *p = &e->sim->prng;
	uint32_t most = e->total < 2000 ? e->total : 2000;
	uint32_t size = prng_below(p, most + 1), room = tcp_send_room(&e->tcb);
	struct buf_queue q = {.head = NULL};
	unsigned events = 0;

	size = size < room ? size : room;
	if (size == 0)
		return;
	push_buf(e, &q, size);
	tcp_send(&e->tcb, &q, &events);
}

static void read_some(struct sim_end *e)
{
	struct view views[8];
	unsigned events = 0;
	uint32_t size = 1 + prng_below(&e->sim->prng, e->read_max);
	unsigned count = tcp_recv(&e->tcb, size, false, views, 8, &events);

	for (unsigned i = 0; i < count; i++) {
		if (!stream_is(views[i].data, e->received, views[i].len, !e->index))
			sim_fail(e->sim, "end %u: wrong bytes from %u of the stream on", e->index,
				 e->received);
		if (e->sim->hashes)
			e->hash = stream_hash(e->hash, views[i].data, views[i].len);
		e->received += views[i].len;
		buf_put(&views[i].buf);
	}
	end_after_call(e, events);
	if (e->received > e->sim->end[!e->index].queued)
		sim_fail(e->sim, "end %u: read more than was written", e->index);
}

static void end_writing(struct sim_end *e)
{
	unsigned events = 0;

	e->shut = true;
	if (e->ending == SIM_CLOSE) {
		e->closed = true;
		tcp_close(&e->tcb, e->sim->now, &events);
	} else {
		tcp_shutdown_write(&e->tcb, e->sim->now, &events);
	}
	end_after_call(e, events);
}

static void end_by_abort(struct sim_end *e)
{
	unsigned events = 0;

	e->shut = e->closed = e->aborted = true;
	tcp_abort(&e->tcb, 0, &events);
	end_after_call(e, events);
}

/* In the middle of the opening, too. */
static void end_early(struct sim_end *e)
{
	e->end_at = WEFT_TIME_NEVER;
	if (e->shut)
		return;
	if (e->ending == SIM_ABORT)
		end_by_abort(e);
	else
		end_writing(e);
}

static void run_writer(struct sim_end *e)
{
	struct prng *p = &e->sim->prng;

	e->write_at = WEFT_TIME_NEVER;
	if (e->shut || !e->established)
		return;
	if (e->ending == SIM_ABORT && e->queued >= e->abort_at) {
		end_by_abort(e);
		return;
	}
	if (e->queued == e->total) {
		end_writing(e);
		return;
	}
	if (tcp_send_room(&e->tcb) == 0)
		return; /* WRITABLE will tell */
	write_some(e);
	e->write_at = e->sim->now + (e->write_pause ? prng_below(p, (uint32_t)e->write_pause) : 0);
}

static void run_reader(struct sim_end *e)
{
	struct prng *p = &e->sim->prng;
	unsigned events = 0;

	e->read_at = WEFT_TIME_NEVER;
	if (e->closed)
		return;
	if (e->tcb.rcvq.bytes > 0)
		read_some(e);
	if (e->tcb.rcvq.bytes > 0) {
		e->read_at =
			e->sim->now + (e->read_pause ? prng_below(p, (uint32_t)e->read_pause) : 0);
	} else if (tcp_recv_eof(&e->tcb) && e->shut) {
		e->closed = true; /* both directions are over */
		tcp_close(&e->tcb, e->sim->now, &events);
		end_after_call(e, events);
	} else if (tcp_recv_eof(&e->tcb) && !e->shut) {
		e->read_at = e->sim->now + US_PER_S; /* look again when writing is over */
	}
}

void app_run(struct sim_end *e)
{
	if (e->end_at <= e->sim->now)
		end_early(e);
	if (e->write_at <= e->sim->now)
		run_writer(e);
	if (e->read_at <= e->sim->now)
		run_reader(e);
}

weft_time_us app_deadline(const struct sim_end *e)
{
	if (!e->has_tcb || e->closed || (e->tcb.state == TCPS_CLOSED && e->tcb.rcvq.bytes == 0))
		return WEFT_TIME_NEVER;
	if (e->over)
		return e->read_at;
	return time_min(time_min(e->write_at, e->read_at), e->end_at);
}
