/*
 * Connections on a path whose MTU is not theirs.  Header-only; used by mtu_test.c and mtu_search_test.c.
 */
#ifndef WEFT_TESTS_TCP_MTU_SCRIPT_H
#define WEFT_TESTS_TCP_MTU_SCRIPT_H

#include "net/tcp/parts.h"
#include "script_open.h"

enum { MSS = 1460, BASE = 1240, SMALL_BASE = 536 };

static unsigned events;

static inline enum drop too_big(uint32_t at, uint16_t mss)
{
	events = 0;
	enum drop why = tcp_too_big(&w.tcb, w.iss + at, mss, &events);

	after_call(events);
	return why;
}

static inline void path_mss(uint16_t mss)
{
	events = 0;
	tcp_set_path_mss(&w.tcb, mss, &events);
	after_call(events);
}

static inline void begin(uint8_t probing)
{
	established(&plain_setup);
	w.cfg.mtu_probing = probing;
	drop_seen();
}

/* The same with a full segment acknowledged: 1:1461. */
static inline void begin_proved(uint8_t probing)
{
	begin(probing);
	send_bytes(MSS);
	inject(". 1:1 ack %u", 1 + MSS);
	drop_seen();
}

/* Acknowledges everything until nothing more comes; how many of the segments had 'len' bytes. */
static inline unsigned ack_all(uint32_t len)
{
	unsigned count = 0;

	for (;;) {
		while (seen_count() > 0)
			count += take_seen()->len == len;
		if (w.tcb.snd_una == w.tcb.snd_max)
			return count;
		w.now += 10 * US_PER_MS;
		inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
	}
}

/* A connection with mtu_probing 2, established. */
static inline void begin_small(void)
{
	begin_world(&plain_setup);
	w.cfg.mtu_probing = 2;
	tcp_open_active(&w.tcb, w.iss, w.now, &events);
	after_call(TCP_EV_OUTPUT);
	w.in_tcb = true;
	expect("S 0:0 mss 1460");
	inject("S. 0:0 ack 1 mss 1460");
	drop_seen();
}

#endif
