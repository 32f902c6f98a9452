/*
 * One end: does what the owner of a core does (listener, half-open and TIME-WAIT records, output,
 * timers); watch.c checks the core after every call.
 */
#include "net/base/seq.h"
#include "sim.h"
#include <string.h>

enum { PATH_AGE_S = 600 };

static void random_link(struct sim *sim, struct sim_link *l, const struct sim_options *o)
{
	struct prng *p = &sim->prng;
	static const uint32_t losses[] = {0, 0, 1000, 10000, 30000, 60000, 120000};

	*l = (struct sim_link){
		.loss_ppm = losses[prng_below(p, 7)],
		.burst_ppm = prng_below(p, 3) ? 0 : prng_below(p, 4000),
		.burst_len = 1 + prng_below(p, 12),
		.dup_ppm = prng_below(p, 2) ? 0 : prng_below(p, 50000),
		.corrupt_ppm = prng_below(p, 3) ? 0 : prng_below(p, 20000),
		.reorder_ppm = prng_below(p, 2) ? 0 : prng_below(p, 300000),
		.delay = 10 + prng_below(p, prng_below(p, 2) ? 1000 : 100000),
		.rate = prng_below(p, 2) ? 0 : 20 + prng_below(p, 10000),
		.queue_max = 4 + prng_below(p, 100),
	};
	l->jitter = l->delay * (1 + prng_below(p, 4));
	if (o->loss_ppm != UINT32_MAX)
		l->loss_ppm = o->loss_ppm;
	if (o->dup_ppm != UINT32_MAX)
		l->dup_ppm = o->dup_ppm;
	if (o->reorder_ppm != UINT32_MAX)
		l->reorder_ppm = o->reorder_ppm;
}

void end_init(struct sim *sim, unsigned index, const struct sim_options *options)
{
	struct sim_end *e = &sim->end[index];
	struct prng *p = &sim->prng;
	static const uint32_t isns[] = {0, 0x7fffffff, 0xffffffff, 0xffff0000};

	memset(e, 0, sizeof(*e));
	e->sim = sim;
	e->index = index;
	tcp_cfg_default(&e->cfg);
	e->cfg.counters = &e->counters;
	/* A link as bad as some here takes longer than the patience for orphans. */
	e->cfg.orphan = 1800LL * US_PER_S;
	e->cfg.fin_wait2 = 1800LL * US_PER_S;
	e->cfg.user_timeout = 1800LL * US_PER_S;
	e->cfg.rto_max = 60LL * US_PER_S;
	if (prng_below(p, 4) == 0)
		e->cfg.gso_max = 1460;
	e->params = (struct tcp_params){
		.cfg = &e->cfg,
		.rcv_buf_size =
			prng_below(p, 3) ? 4000 + prng_below(p, 200000) : 500 + prng_below(p, 5000),
		.snd_buf_size = 2000 + prng_below(p, 200000),
		.rcv_buf_max = 1u << (10 + prng_below(p, 21)),
		.ts_offset = (uint32_t)prng_u64(p),
		.mss_local = prng_below(p, 4) ? 1460 : (uint16_t)(200 + prng_below(p, 1260)),
	};
	e->params.rcv_auto = prng_below(p, 2);
	e->params.snd_auto = prng_below(p, 2);
	e->cfg.rcv_buf_min = e->params.rcv_buf_size;
	e->cfg.snd_buf_min = e->params.snd_buf_size;
	e->cfg.buf_max = 1u << (14 + prng_below(p, 10));
	e->iss = prng_below(p, 2) ? isns[prng_below(p, 4)] : (uint32_t)prng_u64(p);
	random_link(sim, &e->out, options);
	e->path_until = e->path_others = e->end_at = WEFT_TIME_NEVER;
	tcp_init(&e->tcb, &e->params);
}

static void apply_settings(struct sim_end *e)
{
	struct prng *p = &e->sim->prng;
	unsigned events = 0;

	/* Without keepalives a RST that was lost would leave the other end for ever.  There are more
	   than two bursts swallow. */
	tcp_set_keep_times(&e->tcb, 60LL * US_PER_S, 10LL * US_PER_S, 40, e->sim->now);
	tcp_set_keepalive(&e->tcb, true, e->sim->now);
	tcp_set_nodelay(&e->tcb, prng_below(p, 2), &events);
	end_after_call(e, events);
}

void end_open(struct sim_end *e)
{
	unsigned events = 0;

	e->listened = e->listens;
	if (e->listens)
		return;
	e->has_tcb = true;
	tcp_open_active(&e->tcb, e->iss, e->sim->now, &events);
	if (e->fast != SIM_FAST_NO) {
		tcp_fast_open(&e->tcb, e->fast == SIM_FAST_COOKIE, e->fast_mss);
		app_preload(e);
	}
	end_after_call(e, events);
	apply_settings(e);
}

void end_fini(struct sim_end *e)
{
	tcp_fini(&e->tcb);
	buf_queue_clear(&e->tcb.trash);
}

/* ---- The owner. ---- */

static void note_events(struct sim_end *e, unsigned events)
{
	if (events & TCP_EV_CONNECTED) {
		e->established = true;
		e->write_at = e->read_at = e->sim->now;
	}
	if (events & TCP_EV_TIME_WAIT && !e->has_tw) {
		tcp_timewait_init(&e->tw, &e->tcb, e->sim->now);
		e->has_tw = true;
	}
	if (events & TCP_EV_READABLE)
		e->read_at = time_min(e->read_at, e->sim->now + e->read_pause);
	if (events & TCP_EV_WRITABLE)
		e->write_at = time_min(e->write_at, e->sim->now + e->write_pause);
	e->over = e->over || e->tcb.state == TCPS_CLOSED || e->tcb.state == TCPS_TIME_WAIT;
}

/* What others, or nobody any more, know of the path. */
static void follow_path(struct sim_end *e, unsigned *events)
{
	weft_time_us now = e->sim->now;

	if (e->path_others <= now) {
		e->path_others = WEFT_TIME_NEVER;
		e->path_until = now + PATH_AGE_S * (weft_time_us)US_PER_S;
		tcp_set_path_mss(&e->tcb, path_mss(e, path_mtu(e)), events);
	} else if (e->path_until <= now) {
		e->path_until = WEFT_TIME_NEVER;
		tcp_set_path_mss(&e->tcb, e->params.mss_local, events);
	}
}

/* The bytes of a cookie are the owner's. */
static void fill_cookie(const struct sim_end *e, struct tcp_seg_out *out)
{
	bool gives = out->flags & TCP_ACK || e->fast == SIM_FAST_COOKIE;

	if (out->opt.has_fo && gives)
		out->opt.fo_len = TCP_FO_MIN * 2;
}

/* As sock_input does: what a batch asks for waits for its end, or for an event of another kind. */
static bool is_held(struct sim_end *e, unsigned *events)
{
	const unsigned usual = TCP_EV_READABLE | TCP_EV_WRITABLE | TCP_EV_OUTPUT;

	if (!e->in_batch)
		return false;
	*events |= e->batch_events;
	e->batch_events = *events & ~usual ? 0 : *events;
	if (*events & ~usual)
		return false;
	buf_queue_clear(&e->tcb.trash);
	tcb_check(&e->tcb);
	watch_memory(e);
	return true;
}

/* For the exploration, which asks for every edge. */
static void note_state(struct sim_end *e)
{
	e->sim->edges[e->state_before] |= (uint16_t)(1u << e->tcb.state);
	e->state_before = e->tcb.state;
}

void end_after_call(struct sim_end *e, unsigned events)
{
	struct tcp_seg_out out;

	note_state(e);
	if (is_held(e, &events))
		return;
	if (events & TCP_EV_OUTPUT)
		follow_path(e, &events);
	if (events & TCP_EV_PATH_MTU)
		e->path_until = e->sim->now + PATH_AGE_S * (weft_time_us)US_PER_S;
	buf_queue_clear(&e->tcb.trash);
	tcb_check(&e->tcb);
	watch_memory(e);
	if (!(events & TCP_EV_OUTPUT))
		watch_forgotten(e);
	for (unsigned n = 0; events & TCP_EV_OUTPUT && tcp_output(&e->tcb, e->sim->now, &out);
	     n++) {
		e->segs_out++;
		watch_output(e, &out);
		fill_cookie(e, &out);
		tcb_check(&e->tcb);
		link_send(e, &out);
		if (n > 3000) {
			sim_fail(e->sim, "end %u: output without end", e->index);
			break;
		}
	}
	buf_queue_clear(&e->tcb.trash);
	note_events(e, events);
}

void end_batch_begins(struct sim_end *e)
{
	e->in_batch = true;
	e->batch_events = 0;
}

void end_batch_ends(struct sim_end *e)
{
	e->in_batch = false;
	if (e->has_tcb)
		end_after_call(e, e->batch_events);
}

static void answer(struct sim_end *e, const struct tcp_seg *seg)
{
	struct tcp_seg_out out;

	if (tcp_reset_for(seg, &out))
		link_send(e, &out);
}

static void flush_record(struct sim_end *e)
{
	struct tcp_seg_out out;

	while (tcp_synrcvd_output(&e->rec, &e->cfg, e->sim->now, &out))
		link_send(e, &out);
}

/* With a good cookie the application has the connection at once. */
static void open_fast(struct sim_end *e, struct tcp_seg *syn)
{
	struct tcp_synrcvd rec;
	unsigned events = TCP_EV_CONNECTED;

	tcp_synrcvd_init(&rec, &e->params, syn, e->iss, e->sim->now);
	e->listens = false;
	e->has_tcb = true;
	tcp_open_passive_fast(&e->tcb, &rec, syn, false, e->sim->now, &events);
	end_after_call(e, events);
	apply_settings(e);
}

static void input_listener(struct sim_end *e, struct tcp_seg *seg)
{
	enum drop why = DROP_NONE;

	switch (tcp_listen_input(seg, &why)) {
	case TCP_LISTEN_RESET:
		answer(e, seg);
		break;
	case TCP_LISTEN_SYN:
		if (seg->opt.has_fo && seg->opt.fo_len > 0 && e->takes_fast) {
			open_fast(e, seg);
			break;
		}
		tcp_synrcvd_init(&e->rec, &e->params, seg, e->iss, e->sim->now);
		e->has_rec = true;
		flush_record(e);
		break;
	case TCP_LISTEN_DROP:
	default:
		break;
	}
}

static void input_tcb(struct sim_end *e, struct tcp_seg *seg)
{
	unsigned events = 0;
	struct tcp_seg copy = *seg; /* the core moves its edges */
	uint64_t marks = counter_read(&e->counters, C_TCP_ECN_CE_IN);
	enum drop why = tcp_input(&e->tcb, seg, e->sim->now, &events);

	watch_input(e, &copy, why, marks);
	if (why == DROP_TCP_SYN_SENT_ACK || why == DROP_TCP_SYN_RCVD_ACK || why == DROP_TCP_NO_CONN)
		answer(e, seg);
	end_after_call(e, events);
}

static void input_record(struct sim_end *e, struct tcp_seg *seg)
{
	struct tcp_seg_out out;
	enum drop why = DROP_NONE;

	switch (tcp_synrcvd_input(&e->rec, seg, &e->cfg, e->sim->now, &out, &why)) {
	case TCP_SYNRCVD_REPLY:
		link_send(e, &out);
		break;
	case TCP_SYNRCVD_RESEND:
		flush_record(e);
		break;
	case TCP_SYNRCVD_RESET:
		link_send(e, &out);
		e->has_rec = false;
		break;
	case TCP_SYNRCVD_GONE:
		e->has_rec = false;
		break;
	case TCP_SYNRCVD_ESTABLISHED:
		e->has_rec = false;
		e->listens = false;
		e->has_tcb = true;
		tcp_open_passive(&e->tcb, &e->rec, e->sim->now);
		note_state(e);
		input_tcb(e, seg);
		apply_settings(e);
		break;
	case TCP_SYNRCVD_DROP:
	default:
		break;
	}
}

void end_input(struct sim_end *e, struct tcp_seg *seg)
{
	struct tcp_seg_out out;
	enum drop why = DROP_NONE;

	if (e->has_rec || (e->has_tcb && !e->over))
		e->watch.acks_in += (seg->flags & (TCP_ACK | TCP_RST)) == TCP_ACK;
	if (e->has_rec) {
		input_record(e, seg);
	} else if (e->listens) {
		input_listener(e, seg);
	} else if (e->has_tw) {
		if (tcp_timewait_input(&e->tw, seg, &e->cfg, e->sim->now, &out, &why) ==
		    TCP_TIMEWAIT_REPLY)
			link_send(e, &out);
	} else if (e->has_tcb && !e->over) {
		input_tcb(e, seg);
	} else {
		answer(e, seg);
	}
}

void end_too_big(struct sim_end *e, uint32_t seq, uint16_t mss)
{
	unsigned events = 0;

	if (!e->has_tcb || e->over)
		return;
	(void)tcp_too_big(&e->tcb, seq, mss, &events);
	end_after_call(e, events);
}

weft_time_us end_deadline(const struct sim_end *e)
{
	if (e->has_rec)
		return tcp_synrcvd_deadline(&e->rec, &e->cfg, e->sim->now);
	if (e->has_tw)
		return e->tw.deadline;
	return e->has_tcb && !e->over ? tcp_deadline(&e->tcb) : WEFT_TIME_NEVER;
}

void end_timers(struct sim_end *e)
{
	unsigned events = 0;

	if (e->has_rec) {
		e->has_rec = tcp_synrcvd_tick(&e->rec, &e->cfg, e->sim->now);
		if (e->has_rec)
			flush_record(e);
		return;
	}
	if (e->has_tw) {
		e->has_tw = false;
		return;
	}
	tcp_tick(&e->tcb, e->sim->now, &events);
	watch_reactions(e);
	end_after_call(e, events);
	e->stuck = end_deadline(e) <= e->sim->now ? e->stuck + 1 : 0;
	if (e->stuck > 100)
		sim_fail(e->sim, "end %u: a deadline that stays in the past", e->index);
}
