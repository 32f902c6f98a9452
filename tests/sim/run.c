/*
 * A run of the simulation: one event after the other until both ends are over, the checks at the
 * end, and what is printed when one fails.
 */
#include "net/wire/print.h"
#include "sim.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RUN_LIMIT_S = 7200 };

static void print_trace(const struct sim *sim)
{
	unsigned first = sim->traced > TRACE_MAX ? sim->traced - TRACE_MAX : 0;
	char text[256];

	for (unsigned i = first; i < sim->traced; i++) {
		const struct sim_trace *t = &sim->trace[i % TRACE_MAX];
		struct tcp_hdr hdr = t->hdr;
		hdr.seq -= sim->end[t->from].iss;
		hdr.ack -= sim->end[!t->from].iss;
		printf("  %12.6f %c %s %s\n", (double)(t->at - sim->start) / US_PER_S,
		       t->from ? '<' : '>', tcp_print(&hdr, t->len, text, sizeof(text)), t->fate);
	}
}

static void print_path(const struct sim_end *e)
{
	const struct sim_link *l = &e->out;

	printf("         %s%s%s, ecn %d%s, marks %u above %u%s, fast open %d%s, probing %d, path "
	       "%u%s%s",
	       e->cc ? e->cc->name : "default", e->cc_next ? " then " : "",
	       e->cc_next ? e->cc_next->name : "", (int)e->cfg.ecn, e->tcb.ecn_on ? " on" : "",
	       l->ce_ppm, l->mark_above, l->bleaches ? " bleached" : "", (int)e->fast,
	       e->takes_fast ? " taken" : "", e->cfg.mtu_probing, e->tcb.mss_path,
	       l->tells ? " told" : "", l->strips_sack ? ", no sack" : "");
	if (e->cpu.away > 0)
		printf(", here for %lld, away for %lld", (long long)e->cpu.here,
		       (long long)e->cpu.away);
	for (unsigned i = 0; i < l->mtus; i++)
		printf(" %u from %.6f", l->mtu[i].mtu,
		       (double)(l->mtu[i].at - e->sim->start) / US_PER_S);
	printf("\n");
}

static void print_end(const struct sim_end *e)
{
	printf("  end %u: %s, queued %u of %u, received %u, error %d, una %d nxt %d max %d wnd %u "
	       "cwnd %u backoff %u segs %llu rexmit %u ending %d\n",
	       e->index, tcp_state_name(e->tcb.state), e->queued, e->total, e->received,
	       e->tcb.error, (int)(e->tcb.snd_una - e->iss), (int)(e->tcb.snd_nxt - e->iss),
	       (int)(e->tcb.snd_max - e->iss), e->tcb.snd_wnd, e->tcb.cc.cwnd, e->tcb.backoff,
	       (unsigned long long)e->segs_out, e->tcb.retrans_total, (int)e->ending);
	printf("         loss %u burst %u/%u dup %u reorder %u delay %lld rate %u queue %u, "
	       "rcvbuf %u sndbuf %u wscale %u mss %u\n",
	       e->out.loss_ppm, e->out.burst_ppm, e->out.burst_len, e->out.dup_ppm,
	       e->out.reorder_ppm, (long long)e->out.delay, e->out.rate, e->out.queue_max,
	       e->params.rcv_buf_size, e->params.snd_buf_size, e->tcb.rcv_wscale, e->tcb.mss);
	print_path(e);
}

void sim_print(const struct sim *sim)
{
	printf("at %.6f s, %s, %s\n", (double)(sim->now - sim->start) / US_PER_S,
	       sim->split ? "cut" : "whole", sim->wire ? "wire" : "direct");
	print_end(&sim->end[0]);
	print_end(&sim->end[1]);
	print_trace(sim);
	fflush(stdout);
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
	va_list args;

	if (sim->failed)
		return;
	sim->failed = true;
	if (sim->quiet)
		return;
	printf("FAIL ");
	sim_print_name(sim);
	printf(": ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	sim_print(sim);
}

void sim_begin(struct sim *sim, uint64_t seed)
{
	memset(sim, 0, sizeof(*sim));
	sim->seed = seed;
	prng_init(&sim->prng, seed);
	sim->pool = bufpool_new((size_t)1 << 28);
	sim->decide = fate_by_chance;
	sim->limit = RUN_LIMIT_S * (weft_time_us)US_PER_S;
}

static bool finished(const struct sim *sim)
{
	const struct sim_end *a = &sim->end[0], *b = &sim->end[1];
	bool a_over = a->over && app_deadline(a) == WEFT_TIME_NEVER;
	bool b_over = b->over && app_deadline(b) == WEFT_TIME_NEVER;

	return a_over && (b_over || (!b->has_tcb && !b->has_rec));
}

/* One event; false when there is none left. */
static bool step(struct sim *sim)
{
	const struct heap_node *first = heap_first(&sim->events);
	weft_time_us next = first ? first->key : WEFT_TIME_NEVER;

	for (unsigned i = 0; i < 2; i++) {
		const struct sim_end *e = &sim->end[i];
		weft_time_us due = time_min(end_deadline(e), app_deadline(e));

		next = time_min(next, time_max(due, e->cpu.until));
	}
	if (next == WEFT_TIME_NEVER)
		return false;
	sim->now = time_max(sim->now, next);
	sim->steps++;
	if (first && first->key <= sim->now) {
		link_deliver(sim);
		return true;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (cpu_is_away(&sim->end[i]))
			continue;
		if (end_deadline(&sim->end[i]) <= sim->now)
			end_timers(&sim->end[i]);
		else if (app_deadline(&sim->end[i]) <= sim->now)
			app_run(&sim->end[i]);
	}
	return true;
}

/*
 * Whether 'e' heard no answer to its SYN or SYN-ACK for as long as it waits: then the opening failed,
 * rightly, and the other end is told so by a RST or by silence.  It is the link that says what was
 * heard (end_input counts), so that an answer the core did not understand is no excuse.
 */
static bool heard_nothing(const struct sim_end *e)
{
	weft_time_us patience = e->listened ? e->cfg.synack_timeout : e->cfg.syn_timeout;

	return e->watch.acks_in == 0 && e->sim->now - e->sim->start >= patience;
}

bool sim_handshake_lost(const struct sim *sim)
{
	return heard_nothing(&sim->end[0]) || heard_nothing(&sim->end[1]);
}

/* Orderly endings deliver everything; others may not, but say so. */
void sim_check_result(struct sim *sim)
{
	struct sim_end *a = &sim->end[0], *b = &sim->end[1];
	bool orderly = a->ending == SIM_SHUTDOWN && b->ending == SIM_SHUTDOWN;

	for (unsigned i = 0; i < 2 && orderly && !sim_handshake_lost(sim); i++) {
		const struct sim_end *e = &sim->end[i];
		if (e->received != sim->end[!i].total)
			sim_fail(sim, "end %u: read %u of %u", i, e->received, sim->end[!i].total);
		if (e->tcb.error != 0)
			sim_fail(sim, "end %u: error %d after an orderly end", i, e->tcb.error);
	}
	for (unsigned i = 0; i < 2; i++) {
		const struct sim_end *e = &sim->end[i];
		uint64_t fair = (e->queued + sim->end[!i].queued) / 200 + 8ull * e->writes +
				8ull * sim->end[!i].writes;
		if (e->segs_out > 2000 + 6 * fair)
			sim_fail(sim, "end %u: a storm of %llu segments for %u bytes", i,
				 (unsigned long long)e->segs_out, e->queued);
	}
}

void sim_run(struct sim *sim)
{
	while (!sim->failed && !finished(sim)) {
		if (!step(sim)) {
			sim_fail(sim, "nothing left to happen");
			break;
		}
		if (sim->now - sim->start > sim->limit)
			sim_fail(sim, "no end in sight");
	}
}

void sim_run_until(struct sim *sim, weft_time_us end)
{
	while (!sim->failed && sim->now < end && step(sim))
		continue;
}

void sim_fini(struct sim *sim)
{
	link_clear(sim);
	end_fini(&sim->end[0]);
	end_fini(&sim->end[1]);
	if (bufpool_lent(sim->pool) != 0)
		sim_fail(sim, "%zu buffers lost", bufpool_lent(sim->pool));
	bufpool_free(sim->pool);
}
