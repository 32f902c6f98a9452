/*
 * Slow start that ends before it overshoots: HyStart++ (RFC 9406).  Used by controllers while their
 * ssthresh is still unknown; pure, under the owner's lock.
 */
#ifndef WEFT_TCP_HYSTART_H
#define WEFT_TCP_HYSTART_H

#include "net/tcp/cc.h"

/* RFC 9406's variables; times in microseconds, UINT32_MAX is its infinity. */
struct hystart {
	uint32_t last_round_min_rtt;
	uint32_t current_round_min_rtt;
	uint32_t css_baseline_min_rtt;
	uint32_t window_end;
	uint8_t rtt_sample_count;
	uint8_t css_rounds; /* rounds begun in conservative slow start; 0: standard slow start */
	bool has_round;     /* window_end is valid */
};

void hystart_init(struct hystart *hs);

/*
 * Grows cwnd for an ACK below ssthresh.  'hs' NULL: ssthresh is known, as after a timeout.  May end
 * slow start by setting ssthresh to cwnd.
 */
void hystart_on_ack(struct hystart *hs, struct tcp_cc *cc, const struct tcp_cc_ack *ack);

#endif
