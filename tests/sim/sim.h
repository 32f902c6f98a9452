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

enum { TRACE_MAX = 40, FAULTS_SEEN_MAX = 1 << 16, SIM_MTUS = 4, SIM_CC_MORE = 64 };

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
	uint32_t ce_ppm; /* that an ECN-capable packet is marked */
	uint32_t
		mark_above; /* ... and each that finds so many bytes queued; 0: that is no reason */
	bool bleaches;      /* packets lose their ECN-capability on the way (RFC 3168 18.1) */
	bool strips_sack;   /* SYNs lose their offer of SACK */
	/* MTUs, each from its time on; none: all packets pass. */
	unsigned mtus;

	struct {
		weft_time_us at;
		uint16_t mtu;
	} mtu[SIM_MTUS];

	bool tells;          /* who throws a packet away for its size says so ... */
	uint32_t untold_ppm; /* ... if that is not lost */
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
	bool mark;   /* as by a router, if it is ECN-capable */
	bool untold; /* if it is too big, nobody says so */
};

/* What the link did to packets, for the checks that it did something (fate.c, link.c). */
enum sim_done {
	SIM_SENT, /* all of them */
	SIM_LOST,
	SIM_BURST,
	SIM_CORRUPT,
	SIM_TWICE,
	SIM_LATE,
	SIM_MARKED,
	SIM_TOO_BIG,
	SIM_QUEUE_FULL,
	SIM_DONE_COUNT,
};

enum sim_ending { SIM_SHUTDOWN, SIM_CLOSE, SIM_ABORT };

/* What an active end does about fast open (RFC 7413). */
enum sim_fast { SIM_FAST_NO, SIM_FAST_ASKS, SIM_FAST_COOKIE };

/*
 * The CPU of an end: now and then it is away, and nothing is done meanwhile, neither for what arrives
 * nor for what is due.  All zero: it is always there.
 */
struct sim_cpu {
	weft_time_us here, away; /* means; each time is up to twice as long */
	struct prng prng;
	/* State. */
	weft_time_us leaves; /* when it goes next */
	weft_time_us until;  /* when it is back */
	weft_time_us line;   /* when the last packet of those that waited is taken */
};

/* What the checks of watch.c remember of an end. */
struct sim_watch {
	bool edge_known;
	uint32_t edge;         /* largest right edge announced */
	bool echo;             /* its ACKs have to say that a mark came */
	uint32_t delivered_ce; /* what it knew of marks on its own packets */
	uint64_t cwrs;         /* segments that said that the window was reduced */
	uint64_t reduced;      /* reductions, and undone ones, that it knew of ... */
	uint64_t reduced_ecn;  /* ... and those for marks ... */
	uint32_t
		reduced_end; /* ... and the end of what had been sent before the last; valid with */
	bool reducing;       /* not all of that is acknowledged */
	unsigned acks_in;    /* segments with an ACK that reached it while it had an ear */
	unsigned too_big;    /* retransmissions too big for the path, since ... */
	uint32_t too_big_una;  /* ... this was acknowledged ... */
	uint16_t too_big_path; /* ... on a path that took this */
};

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
	bool listened; /* began so */
	bool established;
	uint64_t segs_out;
	/* Who reads for it takes what came within such a span together; 0: each packet alone. */
	weft_time_us batch;
	weft_time_us batch_end; /* of the span that the last packet to it falls into ... */
	unsigned batch_count;   /* ... with so many before it */
	bool in_batch;          /* output waits for the batch's end */
	unsigned batch_events;
	struct sim_watch watch;
	uint8_t state_before;     /* after the last call */
	enum sim_fast fast;       /* when it opens actively */
	bool takes_fast;          /* a listener: the cookie is good */
	uint16_t fast_mss;        /* what is remembered of the peer; 0: nothing */
	weft_time_us path_until;  /* what is known of the path's MTU is forgotten then */
	weft_time_us path_others; /* another connection learns the path's MTU then */
	const struct tcp_cc_ops *cc, *cc_next;
	unsigned cc_next_at; /* writes after which cc_next takes over */
	uint64_t cc_more[2][SIM_CC_MORE];
	unsigned stuck; /* ticks in a row that did not move the deadline */
	/* Application: a plan, and how far it got. */
	uint32_t total, write_max, read_max, abort_at;
	weft_time_us write_pause, read_pause, write_at, read_at;
	weft_time_us end_at; /* the program has enough then, whether it is connected or not */
	enum sim_ending ending;
	bool small_writes, shut, closed, aborted;
	uint32_t queued, received;
	uint64_t hash; /* of what was received, if sim.hashes */
	unsigned writes;
	struct sim_link out; /* to the other end */
	struct sim_cpu cpu;
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
	bool hashes;
	weft_time_us limit; /* a run that takes longer fails */
	/* Says what becomes of a packet: fate_by_chance, or a list. */
	void (*decide)(struct sim_end *from, struct sim_fate *fate);
	struct sim_faults faults;
	struct sim_trace trace[TRACE_MAX];
	unsigned traced;
	uint64_t steps; /* events of the run */
	uint64_t done[SIM_DONE_COUNT];
	uint16_t edges[TCPS_COUNT]; /* the states that calls led to from each state, a bit each */
};

/* run.c */
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *sim, const char *fmt, ...);
void sim_print(const struct sim *sim);
void sim_begin(struct sim *sim, uint64_t seed);
void sim_run(struct sim *sim); /* to the end of both ends, or until something fails */
void sim_run_until(struct sim *sim, weft_time_us end);
void sim_check_result(struct sim *sim);
bool sim_handshake_lost(const struct sim *sim); /* the link let no answer through */
void sim_fini(struct sim *sim);

/* The program's own: says which run this is. */
void sim_print_name(const struct sim *sim);

/* link.c */
weft_time_us link_queue(const struct sim_link *l, weft_time_us now); /* bytes */
void link_send(struct sim_end *from, const struct tcp_seg_out *out);
void link_deliver(struct sim *sim);
void link_clear(struct sim *sim);

/* end.c */
void end_init(struct sim *sim, unsigned index, const struct sim_options *options);
void end_open(struct sim_end *e);
void end_fini(struct sim_end *e);
void end_input(struct sim_end *e, struct tcp_seg *seg);
void end_too_big(struct sim_end *e, uint32_t seq, uint16_t mss);
void end_timers(struct sim_end *e);
weft_time_us end_deadline(const struct sim_end *e);
void end_after_call(struct sim_end *e, unsigned events);
void end_batch_begins(struct sim_end *e);
void end_batch_ends(struct sim_end *e);

/* fate.c */
extern const char fate_burst[];
void fate_by_chance(struct sim_end *from, struct sim_fate *fate);

/* path.c */
void path_plan(struct sim *sim);
uint16_t path_mss(const struct sim_end *from, uint16_t mtu);
uint16_t path_mtu(const struct sim_end *from); /* 0: no limit */
void path_mark(struct sim_end *from, struct tcp_seg *seg, const struct sim_fate *fate);

/* watch.c: checks of what a core sends and what it made of what it got. */
void watch_output(struct sim_end *e, const struct tcp_seg_out *out);
void watch_input(struct sim_end *e, const struct tcp_seg *seg, enum drop why, uint64_t marks);
void watch_reactions(struct sim_end *e);
void watch_piece(struct sim_end *e, const struct tcp_seg *seg);
void watch_too_big(struct sim_end *e, const struct tcp_seg *seg, uint16_t mtu);
void watch_memory(struct sim_end *e);
void watch_forgotten(struct sim_end *e);

/* cpu.c */
void cpu_plan(struct sim_end *e, weft_time_us here, weft_time_us away);
bool cpu_is_away(struct sim_end *e);
/* When a packet that arrives now is taken, which may have waited before. */
weft_time_us cpu_takes(struct sim_end *e, bool has_waited);

/* app.c */
void app_plan(struct sim_end *e);
void app_preload(struct sim_end *e); /* what rides on the SYN */
void app_run(struct sim_end *e);
weft_time_us app_deadline(const struct sim_end *e);

/* stream.c: the bytes of the streams, and whether 'data' is them. */
void stream_fill(uint8_t *data, uint32_t at, uint32_t len, unsigned salt);
bool stream_is(const uint8_t *data, uint32_t at, uint32_t len, unsigned salt);
/* A hash (FNV-1a, 64 bits) that goes on from 'hash', which begins with 0. */
uint64_t stream_hash(uint64_t hash, const uint8_t *data, uint32_t len);

#endif
