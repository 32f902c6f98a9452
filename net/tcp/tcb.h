/*
 * The transmission control block: everything one connection knows, by the RFC's variable names.
 *
 * Pure data of the sans-I/O core.  The owner (a socket, or a test) serialises all access; nothing
 * in net/tcp locks, allocates, reads a clock or calls the system.
 *
 * Invariants, checked by tcb_check:
 *  I1  snd_una <= snd_nxt <= snd_max <= snd_nxt + 1       (modulo 2^32, as all below)
 *  I2  snd_max <= snd_end + 1 (the FIN), and snd_max == snd_end + 1 only with fin_sent
 *  I3  sndq holds exactly [max(snd_una, iss + 1), snd_end), less a FIN that was acknowledged
 *  I4  rcv_nxt <= rcv_adv in synchronized states: the announced right edge never moves left
 *  I5  runs of the reassembly queue are disjoint, not adjacent, in order, and beyond rcv_nxt
 *  I6  rcvq.bytes <= rcv_buf_size + the slack of one window-scale unit
 *  I7  data or FIN outstanding in a synchronized state: t_rexmt or t_persist is armed; or it is a probe whose
 *      window has opened, and what follows waits for pacing's deadline, or that has come and output was asked for
 *  I8  cwnd >= one segment
 *  I9  data outstanding has its records: B1 to B5 of scoreboard.h
 *  I10 an urgent mark is beyond what was read, and one to send beyond snd_una
 *  I11 counts of a few bits are within their limits, which have room in them
 */
#ifndef WEFT_TCP_TCB_H
#define WEFT_TCP_TCB_H

#include "net/base/buf.h"
#include "net/base/counters.h"
#include "net/base/time.h"
#include "net/tcp/cc.h"
#include "net/tcp/scoreboard.h"
#include "net/wire/tcp_hdr.h"
#include <stdbool.h>
#include <stdint.h>

/* RFC 9293 3.3.2; BSD's prefix, because <netinet/tcp.h> has the plain names. */
enum tcp_state {
	TCPS_CLOSED,
	TCPS_LISTEN, /* never in a tcb: listeners and half-open connections have records of their own */
	TCPS_SYN_SENT,
	TCPS_SYN_RCVD,
	TCPS_ESTABLISHED,
	TCPS_FIN_WAIT_1,
	TCPS_FIN_WAIT_2,
	TCPS_CLOSE_WAIT,
	TCPS_CLOSING,
	TCPS_LAST_ACK,
	TCPS_TIME_WAIT,
	TCPS_COUNT
};

/* What is known of the size mss_path; mtu.c says what each means. */
enum tcp_mtu_state {
	TCP_MTU_UNKNOWN,
	TCP_MTU_PROVED,
	TCP_MTU_TRACKING, /* from here on mtu_seq is waited for */
	TCP_MTU_CLAIMED,
	TCP_MTU_PROBING,
};

/* Who begins with ECN (RFC 3168), and whether it may be accurate (RFC 9768). */
enum tcp_ecn {
	TCP_ECN_PASSIVE, /* accepted, not asked for */
	TCP_ECN_OFF,
	TCP_ECN_ON,
	TCP_ECN_ACCURATE,         /* asked for as accurate */
	TCP_ECN_ACCURATE_PASSIVE, /* accepted as accurate, too; not asked for */
};

/* Settings shared by all connections of a stack; immutable while in use. */
struct tcp_cfg {
	weft_time_us rto_min;
	weft_time_us rto_max;
	weft_time_us rto_initial;
	weft_time_us syn_timeout;
	weft_time_us synack_timeout;
	weft_time_us user_timeout; /* default of tcb.user_timeout */
	weft_time_us time_wait;
	weft_time_us fin_wait2;
	weft_time_us orphan;
	weft_time_us delack;
	weft_time_us pace_rtt; /* paths at least so long: windows leave spread (pacing.c) */
	weft_time_us challenge_interval; /* at most challenge_max challenge ACKs in this time */
	uint32_t challenge_max;
	bool time_wait_rst; /* an exact RST ends TIME-WAIT (RFC 9293); else it is ignored */
	enum tcp_ecn ecn;
	uint32_t gso_max;        /* largest payload of a super-segment, bytes */
	uint32_t reass_runs_max; /* runs in a reassembly queue */
	/* Buffers without a size of the user's grow to what the path needs (autotune.c). */
	uint32_t rcv_buf_min; /* where grown ones go back to while memory is short */
	uint32_t snd_buf_min;
	uint32_t buf_max;           /* bound of growth */
	const struct bufpool *pool; /* says whether memory is short; NULL: it never is */
	/*
	 * Packetization layer path MTU discovery (RFC 4821): 0 none, 1 when full segments vanish without
	 * a message, 2 from the beginning.
	 */
	uint8_t mtu_probing;
	/* As realloc, size 0 frees: where what is known of data in flight lies (scoreboard.h). */
	void *(*mem)(void *old, size_t size);
	bool no_fast_path; /* for tests: every segment takes the slow path */
	const struct tcp_cc_ops *cc;
	struct counters *counters;
};

/* The defaults of RFC 9293 and docs/ARCHITECTURE.md; counters is left for the caller. */
void tcp_cfg_default(struct tcp_cfg *cfg);

enum { TCP_SACK_RECENT = 4 };

/* The byte in front of the urgent mark rcv_up; see urgent.c. */
enum tcp_urgent {
	TCP_URGENT_NONE,    /* no mark: rcv_up means nothing */
	TCP_URGENT_AWAITED, /* announced */
	TCP_URGENT_THERE,
	TCP_URGENT_READ, /* out of line; the reader has not reached the mark */
};

/* What t_probe is armed for; never two at a time (RFC 8985 8). */
enum tcp_probe {
	TCP_PROBE_TAIL,    /* a tail loss probe */
	TCP_PROBE_REORDER, /* what is late is lost then */
	TCP_PROBE_FORGET,  /* nothing in flight: the scoreboard goes back */
};

/* Accurate ECN (accecn.c). */
struct accecn {
	bool on : 1;        /* negotiated; ecn_on, too */
	bool client : 1;    /* a SYN-ACK answered our SYN, in SYN-SENT */
	bool deaf : 1;      /* what the peer tells is nothing to act on */
	bool judged : 1;    /* the first feedback was looked at (3.2.2.4) */
	bool shake : 1;     /* the next ACK is a bare one that tells of the SYN-ACK (3.2.2.1) */
	bool syn_ce : 1;    /* a SYN-ACK came marked, and counts */
	bool last_ce : 1;   /* the last packet was marked */
	uint8_t ip : 2;     /* IP_ECN_* of the peer's last SYN or SYN-ACK */
	uint8_t r_cep : 3;  /* marked packets received, and 5 */
	uint8_t unsaid : 3; /* marks since the last ACK, 7 at most */
};

struct tcb {
	const struct tcp_cfg *cfg;

	/* State. */
	uint8_t state;           /* enum tcp_state; changed by tcp_set_state only */
	bool passive : 1;        /* SYN-RECEIVED was reached from LISTEN (MUST-11) */
	bool fin_queued : 1;     /* the application ended its sending */
	bool fin_sent : 1;       /* the FIN was sent at least once: snd_max covers it */
	bool fin_rcvd : 1;       /* the peer's FIN was reached in order */
	bool app_closed : 1;     /* no application will read any more (orphan) */
	bool rst_pending : 1;    /* tcp_output is to send a RST */
	bool ack_now : 1;        /* an ACK is due at once */
	bool rexmit_front : 1;   /* the segment at snd_una is to be sent again */
	bool probe_due : 1;      /* a zero-window probe is due */
	bool keep_due : 1;       /* a keepalive probe is due */
	bool in_recovery : 1;    /* fast recovery (RFC 6675, RFC 6582) */
	bool rto_recovery : 1;   /* repair after a timeout, until recover is acknowledged */
	bool tlp_due : 1;        /* a tail loss probe is due */
	bool rack_reordered : 1; /* this path reorders (RFC 8985 6.2 step 3) */
	bool dsack_due : 1;      /* dsack_start and dsack_end are to be told */
	bool cwnd_limited : 1;   /* the last output stopped at cwnd */
	bool ts_on : 1;          /* timestamps negotiated */
	bool sack_on : 1;        /* SACK negotiated */
	bool wscale_on : 1;      /* window scaling negotiated */
	bool nodelay : 1;        /* TCP_NODELAY */
	bool keepalive : 1;      /* SO_KEEPALIVE */
	bool rtt_timing : 1;     /* the SYN left once, at rtt_start */
	bool syn_lost : 1;       /* a SYN of ours was retransmitted */
	bool sws_override : 1;   /* the persist timer allows a small segment */
	bool is_v6 : 1;          /* for the default MSS */
	bool rcv_auto : 1;       /* rcv_buf_size follows the path */
	bool snd_auto : 1;       /* snd_buf_size, too */
	bool pace_held : 1;      /* data waits for its time (pacing.c) */
	bool fin_known : 1;      /* the peer's FIN was seen, maybe out of order: rcv_fin is valid */
	bool mtu_search : 1;     /* larger segments than mss_path are tried (RFC 4821) */
	bool rto_adapt : 1;  /* a timeout was spurious: the next sample tells how slow it gets */
	bool urg_out : 1;    /* what is in front of snd_up is urgent and not acknowledged */
	bool oob_inline : 1; /* SO_OOBINLINE: the urgent byte is data like any other */
	bool cwr_due : 1;    /* ECN: the next new data has CWR */
	/* Fast open (fastopen.c). */
	bool fo_ask : 1;     /* our SYN has the option: a cookie, or the wish for one */
	bool fo_cookie : 1;  /* ... a cookie, and data may ride on it */
	bool fo_sent : 1;    /* ... and did */
	bool fo_passive : 1; /* opened by a SYN with a cookie: SYN-RECEIVED sends and receives */
	bool fo_acked : 1;   /* data of the SYN was taken by the other side, or by us */
	/* The cork. */
	bool uncork : 1; /* TCP_NODELAY: what is queued goes in spite of the cork */
	uint8_t dupacks;
	uint8_t keep_probes;    /* unanswered */
	uint8_t quick_acks : 5; /* TCP_QUICKACK: so many segments more are acknowledged at once */
	bool pingpong : 1;      /* what came last was answered before its ACK was due: it reads 0 */
	bool asked : 1;         /* data came, and none was sent since */
	uint8_t error;          /* errno value that ended the connection, or 0 */
	uint8_t soft_error;     /* last soft error (ICMP): told by SO_ERROR and when it times out */
	uint8_t keep_cnt;       /* a setting of the socket, see below */
	uint16_t nvp_at;        /* the second when the phase 'nvp' began, modulo 2^16 */
	uint8_t rack_mult;      /* RFC 8985 5.2: of the reordering window (rack_persist) */
	uint8_t path_tries;     /* times that IP was advised to try another path, modulo 2^8 */

	/* Send sequence space (RFC 9293 3.3.1). */
	uint32_t iss;
	uint32_t snd_una;
	uint32_t snd_nxt; /* next to send for the first time */
	uint32_t snd_max; /* as snd_nxt, or one more: a zero-window probe was sent */
	uint32_t snd_end; /* behind the last byte the application queued */
	uint32_t snd_wnd; /* scaled */
	uint32_t snd_wl1;
	uint32_t snd_wl2;
	uint32_t max_snd_wnd;  /* largest window the peer ever announced */
	uint32_t snd_buf_size; /* SO_SNDBUF */
	uint32_t recover; /* RFC 6582 (here it leaves no gap); recovery lasts until it is acked */
	uint32_t retrans_total; /* for TCP_INFO; here for the same reason */
	struct buf_queue sndq;
	struct scoreboard *sb; /* data in flight; NULL: none, and none for a while */
	uint32_t delivered;    /* bytes that arrived, SACKed ones included */

	/* Receive sequence space. */
	uint32_t irs;
	uint32_t rcv_nxt;
	uint32_t rcv_adv;      /* announced right edge */
	uint32_t rcv_fin;      /* sequence number of the peer's FIN */
	uint32_t rcv_up;       /* urgent pointer, as sequence number; see urg_state */
	uint32_t rcv_buf_size; /* SO_RCVBUF */
	uint32_t last_ack_sent;
	uint32_t dsack_start, dsack_end; /* a duplicate that arrived (RFC 2883) */
	struct buf_queue rcvq;           /* in order, not read yet */
	struct buf *reass;               /* first run of the reassembly queue */
	uint32_t reass_mem;              /* capacities queued there */
	uint16_t reass_runs;
	uint8_t sack_recent_count : 3;
	uint8_t urg_state : 2; /* enum tcp_urgent */
	/* Validation of the congestion window (cwv.c). */
	bool nvp : 1;                          /* cwnd is larger than what was proved */
	bool spread : 1;                       /* what cwnd has room for leaves over time */
	bool iw_lost : 1;                      /* there was a loss in the initial window */
	uint8_t tune_age;                      /* intervals since tune_rtt was taken */
	uint32_t delack_bytes;                 /* received since the last ACK */
	uint32_t sack_recent[TCP_SACK_RECENT]; /* starts of runs, most recent first */
	/* Autotuning of rcv_buf_size: what is copied out in a round trip. */
	uint32_t tune_rtt;    /* microseconds; 0: not known */
	uint32_t tune_at;     /* when the interval began, microseconds modulo 2^32 */
	uint32_t tune_seq;    /* how far the application had read then */
	uint32_t tune_copied; /* the most in one round trip so far */
	uint32_t tune_mark;   /* last timestamp echo seen; without timestamps the edge then */

	/* Small numbers. */
	uint8_t snd_wscale : 4;
	uint8_t rcv_wscale : 4;
	uint8_t mtu_state : 3;     /* enum tcp_mtu_state */
	uint8_t rack_persist : 5;  /* RFC 8985 5.2: rack_mult holds for so many recoveries more */
	uint8_t backoff : 5;       /* doublings of the RTO or probe interval */
	bool user_timeout_set : 1; /* by the user: user_timeout_ms governs keepalive, too */
	bool pace_late : 1;        /* data waited for longer than its time (pacing.c) */
	uint8_t ecn_holds : 5;     /* reactions in a row to marks with a window of one segment */
	uint8_t probe_kind : 2;    /* enum tcp_probe: what t_probe is for */

	/* Options. */
	uint16_t mss_peer;  /* the peer's MSS option or the default */
	uint16_t mss_local; /* what our link takes: MTU less headers without options */
	uint16_t mss_path;  /* what the path takes as far as we know: mss_local or less */
	uint16_t mss_user;  /* TCP_MAXSEG, or 0 */
	uint16_t mss;       /* effective: payload bytes of a full segment, options counted */
	/* Path MTU discovery, see mtu.c. */
	uint16_t mtu_size; /* of a claim or a probe */
	uint16_t mtu_high; /* the search's upper end */
	uint16_t mtu_at;   /* the second when it begins anew, modulo 2^16 */
	uint32_t mtu_seq;
	uint32_t delivered_ce; /* packets of ours that arrived marked: s.cep (RFC 9768) is 5 more */
	uint32_t ts_recent;
	uint32_t ts_offset;
	uint32_t ts_recent_at; /* seconds: PAWS looks back over 24 days */

	/* Round trip and retransmission (RFC 6298). */
	uint32_t srtt; /* microseconds, as all here */
	uint32_t rttvar;
	uint32_t rto;          /* without backoff */
	uint32_t rtt_min;      /* the smallest of some minutes */
	uint32_t rtt_min_next; /* the smallest since rtt_min_at: the next rtt_min */

	union {
		uint32_t rtt_start;  /* when the SYN left */
		uint32_t rtt_min_at; /* from then on: milliseconds (time_ms) */
	};

	uint16_t dsack_dups; /* D-SACKs received, at most 2^16 - 1 */
	uint16_t reord_seen; /* times that reordering was seen */
	uint32_t snd_up;     /* behind the last urgent byte, with urg_out */
	struct tcp_cc cc;
	uint32_t pace_max; /* SO_MAX_PACING_RATE in units of TCP_PACE_UNIT; 0: none */
	int32_t pace_wait; /* us from last_snd until data may go again; < 0: it is late (pacing.c) */

	/* Times: of timers (WEFT_TIME_NEVER: off) and of events.  Only deadline.c sets timers. */
	weft_time_us t_rexmt;
	weft_time_us t_probe; /* what it is for: probe_kind */
	weft_time_us t_persist;
	weft_time_us t_delack;
	weft_time_us t_keep;
	weft_time_us t_life; /* SYN give-up, FIN-WAIT-2 and orphan limits */
	weft_time_us t_user; /* oldest unacknowledged data plus the user timeout */
	weft_time_us last_rcv;
	weft_time_us last_snd;
	/* Milliseconds modulo 2^32 (time_ms). */
	uint32_t challenge_start;
	uint32_t oow_ack_at; /* last ACK sent for an empty out-of-window segment */

	/* Settings of the socket. */
	uint32_t user_timeout_ms;
	uint32_t notsent_lowat; /* TCP_NOTSENT_LOWAT; 0: none */
	uint16_t keep_idle_s;
	uint16_t keep_intvl_s;
	uint16_t rcv_clamp;    /* TCP_WINDOW_CLAMP, packed (window.c); 0: none */
	uint8_t linger2_s;     /* TCP_LINGER2: seconds in FIN-WAIT-2, 0: the default */
	bool no_fin_wait2 : 1; /* TCP_LINGER2 below 0 */
	bool corked : 1;       /* TCP_CORK */
	bool more : 1;         /* the last send said MSG_MORE */

	/* ECN. */
	bool ecn_asked : 1; /* our first SYN asked for it */
	bool ecn_on : 1;    /* negotiated: marks are echoed */
	bool ecn_mute : 1;  /* ... but a SYN went without: our data is not ECN-capable */
	bool ecn_seen : 1;  /* a packet of the peer's was ECN-capable */
	bool ecn_echo : 1;  /* a marked packet came: ACKs have ECE until CWR comes */

	/*
	 * For TCP_INFO: 56 bits are 72,000 terabytes, two months at 100 Gbit/s; the 48 of what was
	 * sent again are 281.  Small fields stand in what is left of the words.
	 */
	uint64_t bytes_acked;
	uint64_t bytes_received : 56;
	uint8_t urg_byte; /* TCP_URGENT_THERE: the byte */
	uint64_t bytes_sent : 56;
	uint8_t challenges; /* sent in the current interval, at most cfg->challenge_max */
	uint64_t bytes_retrans : 48;
	struct accecn acc;
	uint32_t segs_in;
	uint32_t segs_out;

	/* What the core is done with; the owner empties it after each call (see buf.h). */
	struct buf_queue trash;
};

/* Moves to 'next'; asserts that the edge is legal (state.c, RFC 9293 figure 5). */
void tcp_set_state(struct tcb *tcb, enum tcp_state next);

/* Whether the edge is in the table; for tests. */
bool tcp_edge_legal(enum tcp_state from, enum tcp_state to);
const char *tcp_state_name(enum tcp_state state);

/* Asserts the invariants.  Walks the queues: for tests and simulation. */
void tcb_check(const struct tcb *tcb);

static inline bool tcp_synchronized(const struct tcb *tcb)
{
	return tcb->state >= TCPS_ESTABLISHED;
}

/* States in which the application's data may still be sent. */
static inline bool tcp_may_send(const struct tcb *tcb)
{
	if (tcb->state == TCPS_SYN_RCVD)
		return tcb->fo_passive;
	return tcb->state == TCPS_ESTABLISHED || tcb->state == TCPS_CLOSE_WAIT;
}

static inline uint32_t tcp_flight(const struct tcb *tcb)
{
	return tcb->snd_max - tcb->snd_una;
}

#endif
