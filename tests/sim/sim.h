/*
 * A deterministic simulation of the TCP core: two ends on virtual time, joined by a link with
 * faults.  Everything random comes from one seed.  Single-threaded; used by the files of tests/sim.
 */
#ifndef WEFT_TESTS_SIM_H
#define WEFT_TESTS_SIM_H

#include "heap.h"
#include "net/base/prng.h"
#include "net/tcp/synrcvd.h"
#include "net/tcp/tcp.h"
#include "net/tcp/timewait.h"
#include <stdbool.h>
#include <stdint.h>

enum { TRACE_MAX = 40, FAULTS_SEEN_MAX = 1 << 16 };

/* One direction of the link.  Probabilities in parts per million. */
struct sim_link {
	uint32_t loss_ppm;
	uint32_t burst_ppm; /* that a burst of losses begins */
	uint32_t burst_len; /* packets of a burst, at most */
	uint32_t dup_ppm;
	uint32_t corrupt_ppm;
	uint32_t reorder_ppm;
	weft_time_us delay, jitter;
	uint32_t rate; /* bytes per millisecond; 0: no limit */
	uint32_t queue_max;
	/* State. */
	weft_time_us busy_until;
	uint32_t burst_left, queued;
};

/* What becomes of a packet.  All zero: it arrives once, in its turn. */
struct sim_fate {
	const char *lost;   /* why it does not arrive, or NULL */
	bool corrupt;       /* a bit is wrong when it arrives */
	bool twice;         /* a copy arrives, too, ... */
	weft_time_us again; /* ... so much behind it */
	weft_time_us late;
};

enum sim_ending { SIM_SHUTDOWN, SIM_CLOSE, SIM_ABORT };

/* One end: the core, its owner, and the application on it. */
struct sim_end {
	struct sim *sim;
	unsigned index; /* 0 or 1; also the salt of its data */
	struct tcb tcb;
	struct tcp_synrcvd rec;
	struct tcp_timewait tw;
	struct tcp_cfg cfg;
	struct tcp_params params;
	struct counters counters;
	uint32_t iss;
	bool listens, has_tcb, has_rec, has_tw, over;
	bool established, edge_known;
	uint32_t edge; /* largest right edge announced */
	uint64_t segs_out;
	unsigned stuck; /* ticks in a row that did not move the deadline */
	/* Application: a plan, and how far it got. */
	uint32_t total, write_max, read_max, abort_at;
	weft_time_us write_pause, read_pause, write_at, read_at;
	enum sim_ending ending;
	bool small_writes, shut, closed, aborted;
	uint32_t queued, received;
	unsigned writes;
	struct sim_link out; /* to the other end */
};

/* The packets of a run to which chance did something (fate.c). */
struct sim_faults {
	unsigned packets;     /* sent so far */
	unsigned *seen;       /* numbers of those with a fault, or NULL: not wanted */
	unsigned seen_count;  /* at most FAULTS_SEEN_MAX are kept */
	const unsigned *keep; /* only these may have their fault, in order; NULL: all */
	unsigned keep_count, keep_next;
};

struct sim_trace {
	weft_time_us at;
	unsigned from;
	struct tcp_hdr hdr;
	uint32_t len;
	const char *fate;
};

/* What the command line fixes; UINT32_MAX: chosen by the seed. */
struct sim_options {
	uint64_t first;
	unsigned seeds;
	uint32_t loss_ppm, dup_ppm, reorder_ppm;
	bool verbose;
	bool minimise; /* a failing seed: look for the fewest faults that it needs */
	unsigned
		rexmit_max; /* more retransmissions are a failure, to try minimising; 0: no limit */
};

struct sim {
	uint64_t seed;
	struct prng prng;
	struct bufpool *pool;
	weft_time_us now, start;
	struct heap events; /* packets on their way */
	struct sim_end end[2];
	bool split;         /* super-segments are cut at the link */
	bool wire;          /* headers go through tcp_hdr_emit and tcp_hdr_parse */
	bool failed, quiet; /* quiet: say nothing about a failure */
	/* Says what becomes of a packet: fate_by_chance, or a list. */
	void (*decide)(struct sim_end *from, struct sim_fate *fate);
	struct sim_faults faults;
	struct sim_trace trace[TRACE_MAX];
	unsigned traced;
};

/* run.c */
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *sim, const char *fmt, ...);
void sim_print(const struct sim *sim);
void sim_begin(struct sim *sim, uint64_t seed);
void sim_run(struct sim *sim); /* to the end of both ends, or until something fails */
void sim_run_until(struct sim *sim, weft_time_us end);
void sim_check_result(struct sim *sim);
void sim_fini(struct sim *sim);

/* The program's own: says which run this is. */
void sim_print_name(const struct sim *sim);

/* link.c */
void link_send(struct sim_end *from, const struct tcp_seg_out *out);
void link_deliver(struct sim *sim);
void link_clear(struct sim *sim);

/* end.c */
void end_init(struct sim *sim, unsigned index, const struct sim_options *options);
void end_open(struct sim_end *e);
void end_fini(struct sim_end *e);
void end_input(struct sim_end *e, struct tcp_seg *seg);
void end_timers(struct sim_end *e);
weft_time_us end_deadline(const struct sim_end *e);
void end_after_call(struct sim_end *e, unsigned events);

/* fate.c */
void fate_by_chance(struct sim_end *from, struct sim_fate *fate);

/* app.c */
void app_plan(struct sim_end *e);
void app_run(struct sim_end *e);
weft_time_us app_deadline(const struct sim_end *e);

static inline uint8_t sim_byte(uint32_t at, unsigned salt)
{
	return (uint8_t)(at * 29 + (at >> 8) * 13 + (at >> 16) * 7 + salt * 91);
}

#endif
