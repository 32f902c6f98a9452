/*
 * The seam of the sans-I/O TCP core.  Time comes in as an argument; events, segments and spent
 * buffers come out.  No thread, lock, clock, allocation or system call inside: the caller owns the
 * tcb and serialises access to it.
 *
 * After every call the caller looks at '*events' (bits are added, never cleared, by the core):
 *   OUTPUT     call tcp_output until it returns false (soon: this is how ACKs are batched)
 *   READABLE   a reader can make progress: data, end of stream, or an error
 *   WRITABLE   a writer or connector can make progress: room, established, or an error
 *   CONNECTED  the handshake completed
 *   TIME_WAIT  the connection reached TIME-WAIT: make a record (timewait.h) and unlink the tcb;
 *              tcp_output may still have the last ACK to give
 *   CLOSED     the state is CLOSED: unlink the tcb; tcp_output may still have a RST to give
 *   PATH_MTU   a message about the path was believed: tcb->mss_path holds for all on that path
 *   FAST_OPEN  the SYN-ACK of an active fast open came: its options and fo_* are worth remembering
 *   R1         a segment was retransmitted TCP_R1 times: whoever asks for errors may want to know
 * and empties tcb->trash.  It re-reads tcp_deadline after tcp_output, and asks for output when the
 * deadline moved forward.
 */
#ifndef WEFT_TCP_TCP_H
#define WEFT_TCP_TCP_H

#include "net/tcp/tcb.h"

enum tcp_event {
	TCP_EV_OUTPUT = 1 << 0,
	TCP_EV_READABLE = 1 << 1,
	TCP_EV_WRITABLE = 1 << 2,
	TCP_EV_CONNECTED = 1 << 3,
	TCP_EV_TIME_WAIT = 1 << 4,
	TCP_EV_CLOSED = 1 << 5,
	TCP_EV_PATH_MTU = 1 << 6,
	TCP_EV_FAST_OPEN = 1 << 7,
	TCP_EV_R1 = 1 << 8,
};

/* A segment that arrived: header values in host order, checksum verified, addresses matched. */
struct tcp_seg {
	uint32_t seq;
	uint32_t ack;
	uint32_t len; /* payload bytes, SYN and FIN not counted */
	uint16_t wnd; /* raw field */
	uint16_t up;
	uint8_t flags;
	bool ae;
	uint8_t ecn;     /* IP_ECN_*, of the packet */
	uint16_t pieces; /* packets that it came as, when a device has joined them; 0: one */
	struct tcp_opts opt;
	/*
	 * Carrier of the payload: its window is exactly the payload; NULL when len is 0.  The core may
	 * take the caller's reference and then sets this to NULL; else it stays the caller's.  The core
	 * may have moved the window.
	 */
	struct buf *buf;
};

enum { TCP_VIEWS_MAX = 20 };

/* A segment to send: all but addresses, ports and checksum. */
struct tcp_seg_out {
	uint32_t seq;
	uint32_t ack;
	uint32_t len; /* payload bytes; above mss it is a super-segment to be cut */
	uint16_t wnd; /* raw field */
	uint16_t up;  /* with TCP_URG, which no super-segment has */
	uint16_t mss; /* where to cut */
	uint8_t flags;
	uint8_t view_count;
	bool retransmit;
	bool ae;
	bool is_ect; /* goes as ECN-capable (RFC 3168) */
	bool is_ace; /* AE, CWR and ECE are RFC 9768's counter: every piece has them */
	struct tcp_opts opt;
	/* The payload, borrowed from the send queue: pin (buf_get) before the lock is released. */
	struct view view[TCP_VIEWS_MAX];
};

/* What a connection starts from. */
struct tcp_params {
	const struct tcp_cfg *cfg;
	uint32_t rcv_buf_size; /* bytes */
	uint32_t snd_buf_size;
	uint32_t rcv_buf_max; /* for the window scale */
	uint32_t ts_offset;   /* random per connection (RFC 7323 5.4) */
	bool rcv_auto;        /* the size follows the path (tcp_cfg.buf_max bounds it) */
	bool snd_auto;
	uint16_t mss_local; /* the link's MTU less IP and TCP headers without options */
	uint16_t mss_path;  /* the same of the path's, when less is known of it; else 0 */
	bool is_v6;
};

/* A zeroed or finished tcb becomes a CLOSED one with default settings. */
void tcp_init(struct tcb *tcb, const struct tcp_params *params);

/* Empties all queues into tcb->trash. */
void tcp_fini(struct tcb *tcb);

/* ---- Segments and time. ---- */

/*
 * RFC 9293 3.10.7.3 and 3.10.7.4.  Returns why the segment was not (wholly) used.  For
 * DROP_TCP_SYN_SENT_ACK and DROP_TCP_SYN_RCVD_ACK the caller answers with tcp_reset_for.
 */
enum drop tcp_input(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events);

/* The next segment to send; false when there is nothing (more) to send now. */
bool tcp_output(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out);

/* When tcp_tick has to be called at the latest. */
weft_time_us tcp_deadline(const struct tcb *tcb);

/* Handles every timer that is due at 'now'. */
void tcp_tick(struct tcb *tcb, weft_time_us now, unsigned *events);

/* ---- The user's calls (RFC 9293 3.10.1 to 3.10.6). ---- */

/* Active open from CLOSED: SYN-SENT. */
void tcp_open_active(struct tcb *tcb, uint32_t iss, weft_time_us now, unsigned *events);

/*
 * After tcp_open_active, before output: the SYN has a fast open option (RFC 7413), whose bytes the
 * owner fills in on the way out.  'has_cookie': data queued by then rides on it, as much as a peer
 * with 'mss_peer' (0: not known) takes; else it asks for a cookie.
 */
void tcp_fast_open(struct tcb *tcb, bool has_cookie, uint16_t mss_peer);

/* How much data a SYN takes. */
uint32_t tcp_fast_open_room(const struct tcb *tcb);

struct tcp_synrcvd;
/*
 * From a record and the SYN that made it, with a good cookie: SYN-RECEIVED, in which the SYN's data
 * can be read already, and written before the handshake is over (RFC 7413 4.2.2).  'gives_cookie': the
 * SYN-ACK has an option that the owner fills in.
 */
void tcp_open_passive_fast(struct tcb *tcb, const struct tcp_synrcvd *record, struct tcp_seg *syn,
			   bool gives_cookie, weft_time_us now, unsigned *events);

/* From a half-open record whose handshake is about to complete: feed the segment to tcp_input next. */
void tcp_open_passive(struct tcb *tcb, const struct tcp_synrcvd *record, weft_time_us now);

/*
 * Bytes the send buffer takes now; 0 also when sending is over, and when TCP_NOTSENT_LOWAT bytes wait to
 * be sent: then sending makes room, which no event tells.
 */
uint32_t tcp_send_room(const struct tcb *tcb);

/*
 * Whether poll calls the connection writable, as Linux: a third of the buffer is free, and less than half
 * of TCP_NOTSENT_LOWAT waits to be sent.
 */
bool tcp_send_is_roomy(const struct tcb *tcb);

/*
 * Appends up to 'size' bytes to the last buffer of the send queue if it has room; returns how many.
 * For small writes: the caller brings the rest with tcp_send.  Not beyond tcp_send_room.
 */
uint32_t tcp_send_pack(struct tcb *tcb, const void *data, uint32_t size, unsigned *events);

/* Queues the buffers (their references go to the tcb), not more bytes than tcp_send_room. */
void tcp_send(struct tcb *tcb, struct buf_queue *data, unsigned *events);

/*
 * The send queue, taken out so that its owner may put other buffers with the same bytes in the place of
 * some; tcp_send_put gives it back before anything else is called.
 */
struct buf_queue tcp_send_take(struct tcb *tcb);
void tcp_send_put(struct tcb *tcb, struct buf_queue *data);

/*
 * Whether what was just queued may wait for the next ACK or send without harm: nothing but data wants
 * to go, little of it, and much is in flight on a short path, so an ACK is near.  What waits leaves in
 * one burst instead of many, and wakes the receiver once.
 */
bool tcp_send_may_wait(const struct tcb *tcb);

/* MSG_MORE of what was queued last: a segment that is not full waits, at most 200 ms. */
static inline void tcp_send_more(struct tcb *tcb, bool more)
{
	tcb->more = more;
}

/*
 * What was queued last is urgent: segments tell the peer of a mark behind it until it is acknowledged
 * (RFC 9293 3.10.2).
 */
void tcp_send_urgent(struct tcb *tcb);

/*
 * Takes up to 'size' bytes out of the receive queue as up to 'count' views; each view holds a
 * reference of its own (buf_put when copied).  'peek' leaves the bytes queued.  Returns the number
 * of views; 0 when nothing is queued.  OUTPUT is set when the window update should be told.  Stops in
 * front of an urgent byte, and begins behind it (at it, in line).
 */
unsigned tcp_recv(struct tcb *tcb, uint32_t size, bool peek, struct view *views, unsigned count,
		  unsigned *events);

/* How many bytes tcp_recv can give up to the urgent byte, or from it on when it is next. */
uint32_t tcp_recv_ready(const struct tcb *tcb);

/* Whether a read ends at an urgent byte that is queued: it does not wait for what is behind it. */
bool tcp_recv_stops(const struct tcb *tcb);

/* Whether an urgent byte is what would be read next (SIOCATMARK). */
bool tcp_at_mark(const struct tcb *tcb);

/* A mark was announced and not passed: else all that is queued is ready, and the three above need no call. */
static inline bool tcp_is_urgent(const struct tcb *tcb)
{
	return tcb->urg_state != TCP_URGENT_NONE;
}

/* An urgent byte has come that was neither read nor passed (POLLPRI). */
static inline bool tcp_has_urgent(const struct tcb *tcb)
{
	return tcb->urg_state == TCP_URGENT_THERE;
}

/*
 * Takes the urgent byte ('peek': looks at it); never waits.  1; -EINVAL: none, read before, or in line;
 * -EAGAIN: announced, but not here yet.
 */
int tcp_recv_urgent(struct tcb *tcb, bool peek, uint8_t *byte);

/* End of stream: the peer's FIN was reached and everything was read. */
static inline bool tcp_recv_eof(const struct tcb *tcb)
{
	return tcb->rcvq.bytes == 0 && tcb->fin_rcvd;
}

/* Ends sending: FIN after the queued data. */
void tcp_shutdown_write(struct tcb *tcb, weft_time_us now, unsigned *events);

/* The application is gone: FIN after the queued data, or RST when unread data is thrown away. */
void tcp_close(struct tcb *tcb, weft_time_us now, unsigned *events);

/* RST (in states that have a peer who knows us) and CLOSED at once; 'error' for other callers. */
void tcp_abort(struct tcb *tcb, int error, unsigned *events);

/* CLOSED at once for 'error', when nothing can come or go any more.  What was received stays readable. */
void tcp_lose_link(struct tcb *tcb, int error, unsigned *events);

/*
 * SO_RCVBUF, SO_SNDBUF, TCP_MAXSEG, TCP_NODELAY, TCP_CORK, keepalive: changes that need the core's attention.
 * A buffer size that is set stays: autotuning of it ends.
 */
void tcp_set_rcv_buf(struct tcb *tcb, uint32_t size, unsigned *events);
void tcp_set_snd_buf(struct tcb *tcb, uint32_t size, unsigned *events);
void tcp_set_mss_user(struct tcb *tcb, uint16_t mss);
void tcp_set_nodelay(struct tcb *tcb, bool on, unsigned *events);
void tcp_set_cork(struct tcb *tcb, bool on, unsigned *events);
/*
 * TCP_QUICKACK, as Linux: off; an ACK that is owed goes now, and 'stays': some more go at once until data
 * is sent in reply.  Also what 'pingpong' says, which is told and nothing else.
 */
void tcp_set_quickack(struct tcb *tcb, bool on, bool stays, unsigned *events);
void tcp_set_notsent_lowat(struct tcb *tcb, uint32_t bytes, unsigned *events);
void tcp_set_keepalive(struct tcb *tcb, bool on, weft_time_us now);
void tcp_set_keep_times(struct tcb *tcb, weft_time_us idle, weft_time_us intvl, uint8_t cnt,
			weft_time_us now);
/* TCP_LINGER2: seconds that an orphan waits in FIN-WAIT-2; 0: the default, below: not at all. */
void tcp_set_linger2(struct tcb *tcb, int seconds);
/* 0: the default.  One that is set also decides, instead of keep_cnt, when keepalive gives up. */
void tcp_set_user_timeout(struct tcb *tcb, weft_time_us timeout, weft_time_us now);

/*
 * TCP_SYNCNT: in SYN-SENT, the connection ends with the timeout behind the 'count'th retransmission of
 * the SYN, instead of by cfg->syn_timeout; the second says how many that has time for.
 */
void tcp_set_syn_count(struct tcb *tcb, unsigned count, weft_time_us now);
unsigned tcp_syn_count_default(const struct tcp_cfg *cfg);

/*
 * TCP_WINDOW_CLAMP: the announced window is at most 'bytes', in steps of a 2,048th; 0: no limit.  What
 * was announced before stays.
 */
void tcp_set_window_clamp(struct tcb *tcb, uint32_t bytes, unsigned *events);

/*
 * Another congestion controller, before the connection opens or in its midst (cwnd stays).  'more':
 * memory of 'ops->more_size' bytes, zeroed, lent until tcp_init or the next call; the caller first
 * takes back what tcp_cc_more says.
 */
void tcp_set_congestion(struct tcb *tcb, const struct tcp_cc_ops *ops, void *more,
			weft_time_us now);

/* SO_MAX_PACING_RATE, bytes per second; UINT64_MAX: none. */
void tcp_set_pacing_max(struct tcb *tcb, uint64_t rate);

/*
 * An ICMP error that quotes 'seq' (RFC 5927): in SYN-SENT a hard one ends the connection with
 * 'error'; otherwise it is remembered as a soft error.
 */
enum drop tcp_icmp_error(struct tcb *tcb, uint32_t seq, int error, bool hard, unsigned *events);

/*
 * An ICMP "too big" that quotes 'seq' and says that segments of 'mss' (MTU less IP and TCP headers
 * without options) would pass.  Believed at once, unless segments of the present size have got
 * through: then only if the quoted one times out (RFC 5927 7.2).  DROP_ICMP_MTU: not less than what
 * is sent.
 */
enum drop tcp_too_big(struct tcb *tcb, uint32_t seq, uint16_t mss, unsigned *events);

/* The path to the peer takes 'mss' now, as others have learnt, or as was forgotten by age. */
void tcp_set_path_mss(struct tcb *tcb, uint16_t mss, unsigned *events);

/* ---- Replies without a connection. ---- */

/*
 * The RST that answers 'seg', which belongs to no connection (RFC 9293 3.10.7.1); false when there
 * must be none.
 */
bool tcp_reset_for(const struct tcp_seg *seg, struct tcp_seg_out *out);

/* The initial sequence number: 'hash' is the keyed hash of the flow (RFC 6528). */
static inline uint32_t tcp_isn(uint64_t hash, weft_time_us now)
{
	return (uint32_t)hash + (uint32_t)(now / 4);
}

/* ---- Status. ---- */

/* Why a fast open of ours was none; Linux's numbers. */
enum tcp_fo_fail {
	TCP_FO_NO_FAIL,
	TCP_FO_NO_COOKIE,
	TCP_FO_DATA_NOT_ACKED,
	TCP_FO_SYN_RETRANSMITTED, /* ... for it came without */
};

struct tcp_status {
	enum tcp_state state;
	bool ts_on, sack_on, wscale_on, ecn_on, ecn_seen, syn_data;
	uint8_t snd_wscale, rcv_wscale, backoff;
	uint32_t rto_us, srtt_us, rttvar_us, rtt_min_us;
	uint32_t snd_mss, rcv_mss, pmtu;
	uint32_t cwnd, ssthresh, snd_wnd, rcv_wnd, rcv_space;
	uint32_t unacked_bytes, notsent_bytes, retrans_total;
	uint32_t sacked_bytes, lost_bytes, rexmit_bytes; /* of what is in flight */
	uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retrans;
	uint32_t segs_in, segs_out;
	uint32_t last_snd_ms, last_rcv_ms;
	uint32_t delivered_bytes; /* modulo 2^32 */
	uint16_t dsack_dups, reord_seen;
	uint8_t probes; /* of a closed window or an idle connection, unanswered */
	bool in_recovery, rto_recovery, in_cwr;
	uint32_t delivered_ce; /* packets of ours that arrived marked (RFC 9768) */
	uint64_t pacing_max;   /* 0: none */
	uint64_t pacing_rate;  /* bytes per second; 0: not paced */
	uint64_t
		delivery_rate; /* bytes per second, of data that is or was in flight a moment ago */
	bool rate_app_limited; /* ... as fast as the application, not the path */
	uint8_t path_tries;    /* times that IP was advised to try another path, modulo 2^8 */
	uint8_t fo_fail;       /* enum tcp_fo_fail */
};

void tcp_get_status(const struct tcb *tcb, weft_time_us now, struct tcp_status *status);

#endif
