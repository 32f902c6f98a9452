/*
 * What happened in a stack, as numbers.  Any thread adds (relaxed atomics), any thread reads.
 */
#ifndef WEFT_BASE_COUNTERS_H
#define WEFT_BASE_COUNTERS_H

#include "net/base/drop.h"
#include <stdatomic.h>
#include <stdint.h>

#define WEFT_COUNTERS(X)                                                                           \
	X(PKT_IN, "packets read")                                                                  \
	X(PKT_OUT, "packets written")                                                              \
	X(BYTES_IN, "IP bytes read")                                                               \
	X(BYTES_OUT, "IP bytes written")                                                           \
	X(ICMP_ECHO, "ICMP echo requests answered")                                                \
	X(ICMP_ERR_IN, "ICMP errors received")                                                     \
	X(ICMP_ERR_OUT, "ICMP errors sent")                                                        \
	X(ICMP_ECHO_OUT, "ICMP echo requests sent")                                                \
	X(ICMP_ECHO_IN, "ICMP echo replies delivered to a socket")                                 \
	X(UDP_IN, "UDP datagrams delivered to a socket")                                           \
	X(UDP_OUT, "UDP datagrams sent")                                                           \
	X(IP_REASSEMBLED, "datagrams put together from fragments")                                 \
	X(IP_FRAGMENTED, "datagrams sent in fragments")                                            \
	X(TCP_SEG_IN, "TCP segments received")                                                     \
	X(TCP_SEG_OUT, "TCP segments sent")                                                        \
	X(TCP_SLOW_PATH, "segments in ESTABLISHED that header prediction did not take")            \
	X(TCP_DATA_IN, "TCP payload bytes accepted in order")                                      \
	X(TCP_DATA_OUT, "TCP payload bytes sent, retransmissions included")                        \
	X(TCP_RETRANS, "TCP segments retransmitted")                                               \
	X(TCP_RTO, "retransmission timeouts")                                                      \
	X(TCP_R1,                                                                                  \
	  "times a segment was retransmitted three times, and IP advised to try another path")     \
	X(TCP_IW_LOST, "connections that lost some of their initial window")                       \
	X(TCP_FAST_RETRANS, "fast retransmits")                                                    \
	X(TCP_RACK_LOST, "runs of data that RACK found lost")                                      \
	X(TCP_TLP_PROBE, "tail loss probes sent")                                                  \
	X(TCP_TLP_REPAIRED, "losses that a tail loss probe repaired")                              \
	X(TCP_UNDO_EIFEL, "recoveries undone: the echo was older than the retransmission")         \
	X(TCP_UNDO_DSACK, "recoveries undone: every retransmission was a duplicate")               \
	X(TCP_UNDO_FRTO, "timeouts undone: data sent before them arrived (F-RTO)")                 \
	X(TCP_DSACK_IN, "D-SACKs received")                                                        \
	X(TCP_DSACK_OUT, "D-SACKs sent")                                                           \
	X(TCP_SACK_INVALID, "SACK blocks outside of what is in flight")                            \
	X(TCP_SACK_RENEGED, "times a receiver had thrown SACKed data away")                        \
	X(TCP_SACK_COARSE, "times a record of data in flight was missing")                         \
	X(TCP_REORDER, "times reordering was seen")                                                \
	X(TCP_DUP_ACK_IN, "duplicate ACKs received")                                               \
	X(TCP_RCVBUF_GROWN, "times a receive buffer grew by itself")                               \
	X(TCP_SNDBUF_GROWN, "times a send buffer grew by itself")                                  \
	X(TCP_OUT_OF_ORDER, "segments queued out of order")                                        \
	X(TCP_ZERO_WND_PROBE, "zero-window probes sent")                                           \
	X(TCP_KEEPALIVE_PROBE, "keepalive probes sent")                                            \
	X(TCP_CHALLENGE_ACK, "challenge ACKs sent")                                                \
	X(TCP_CHALLENGE_LIMIT, "challenge ACKs suppressed by the rate limit")                      \
	X(TCP_TS_MISSING, "segments without the negotiated timestamp accepted")                    \
	X(TCP_WSCALE_LARGE, "SYNs with a window scale above 14, which counts as 14")               \
	X(TCP_ACTIVE_OPEN, "connections opened actively")                                          \
	X(TCP_PASSIVE_OPEN, "connections opened passively")                                        \
	X(TCP_OPEN_FAILED, "active opens that failed")                                             \
	X(TCP_RESET_IN, "connections reset by the peer")                                           \
	X(TCP_RESET_OUT, "RST segments sent")                                                      \
	X(TCP_TIMED_OUT, "connections that timed out")                                             \
	X(TCP_ORPHAN_KILLED, "closed connections given up")                                        \
	X(TCP_TIME_WAIT_IN, "connections that entered TIME-WAIT")                                  \
	X(TCP_TIME_WAIT_REUSED, "TIME-WAIT records given up for a new SYN")                        \
	X(TCP_TIME_WAIT_OVERFLOW,                                                                  \
	  "connections without a TIME-WAIT record: too many, or no memory")                        \
	X(TCP_ECN_OPEN, "connections opened with ECN")                                             \
	X(TCP_ECN_ACCURATE, "... of them with accurate ECN (RFC 9768)")                            \
	X(TCP_ECN_MANGLED,                                                                         \
	  "connections whose path changes ECN fields: nothing more is ECN-capable")                \
	X(TCP_ECN_CE_IN, "segments received with congestion experienced")                          \
	X(TCP_ECN_REDUCED, "windows reduced because the peer echoed congestion")                   \
	X(TCP_ORPHAN_OVERFLOW, "closed connections reset: too many, or too little memory")         \
	X(TCP_SYNACK_RETRANS, "SYN-ACKs retransmitted")                                            \
	X(TCP_COOKIE_SENT, "SYN cookies sent")                                                     \
	X(TCP_COOKIE_ACCEPTED, "SYN cookies that came back and made a connection")                 \
	X(TCP_COOKIE_FAILED, "ACKs refused because they bring no good SYN cookie")                 \
	X(TCP_FASTOPEN_ACTIVE, "SYNs sent with data (fast open)")                                  \
	X(TCP_FASTOPEN_ACTIVE_FAIL, "such data that the SYN-ACK did not acknowledge")              \
	X(TCP_FASTOPEN_BLACKHOLE, "fast opens not tried because their SYNs vanished before")       \
	X(TCP_FASTOPEN_PASSIVE, "connections opened by a SYN with a good cookie")                  \
	X(TCP_FASTOPEN_BAD_COOKIE, "SYNs with a fast open cookie that is not ours, or too old")    \
	X(TCP_FASTOPEN_OVERFLOW, "good cookies not used: too many such connections half open")     \
	X(TCP_FASTOPEN_COOKIE_REQ, "SYNs that asked for a fast open cookie")                       \
	X(TCP_PMTU_LOWERED, "messages that a packet was too big, believed")                        \
	X(TCP_PMTU_HELD, "such messages kept until a timeout proves them")                         \
	X(TCP_MTU_BLACK_HOLE, "times segments shrank because full ones vanished")                  \
	X(TCP_MTU_PROBE, "probes for a larger path MTU sent")                                      \
	X(TCP_MTU_PROBE_LOST, "probes for a larger path MTU lost")                                 \
	X(PORT_TRIES, "ephemeral ports looked at")                                                 \
	X(TX_REQUESTS, "sockets queued for output")                                                \
	X(TX_HELPED, "times a thread sent itself instead of waking the TX thread")                 \
	X(TX_WAKES, "wake-ups of the TX thread")                                                   \
	X(MEM_WAITS, "times a sender waited for buffer memory")                                    \
	X(READER_WAKES, "times sleeping readers of a socket, one or all, were woken")              \
	X(WRITER_WAKES, "times sleeping writers of a socket, one or all, were woken")              \
	X(READY_WAKES, "times a thread was woken in poll or epoll_wait")                           \
	X(READY_LOOKS, "times an epoll set looked at something in it")                             \
	X(RX_WAKES, "wake-ups of the RX thread")                                                   \
	X(RX_LED, "batches that a waiting thread read in place of the RX thread")                  \
	X(RX_PARKED, "times the RX thread stood back for waiting threads")                         \
	X(RX_OTHER_QUEUE, "segments read from another queue than their connection's")              \
	X(DEV_FAILED, "queues of the device that an error ended the reading of")

enum counter {

#define X(name, text) C_##name,
	WEFT_COUNTERS(X)
#undef X
		C_COUNT
};

struct counters {
	atomic_uint_least64_t value[C_COUNT];
	atomic_uint_least64_t drop[DROP_COUNT];
};

static inline void counter_add(struct counters *c, enum counter which, uint64_t n)
{
	atomic_fetch_add_explicit(&c->value[which], n, memory_order_relaxed);
}

static inline uint64_t counter_read(const struct counters *c, enum counter which)
{
	return atomic_load_explicit(&c->value[which], memory_order_relaxed);
}

/* Counts a drop for its reason; DROP_NONE is not counted.  Returns 'why'. */
static inline enum drop drop_count(struct counters *c, enum drop why)
{
	if (why != DROP_NONE)
		atomic_fetch_add_explicit(&c->drop[why], 1, memory_order_relaxed);
	return why;
}

/* Counts 'n' drops. */
static inline void drop_add(struct counters *c, enum drop why, uint64_t n)
{
	atomic_fetch_add_explicit(&c->drop[why], n, memory_order_relaxed);
}

/* "PKT_IN" and "packets read"; NULL behind the last. */
const char *counter_name(enum counter which);
const char *counter_text(enum counter which);

#endif
