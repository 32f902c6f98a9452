/*
 * Buffer sizes that follow the path (docs/adr/0011): the receive buffer what is copied out in a round
 * trip, the send buffer cwnd; both within bounds, not while memory is short, and not against the
 * user's will.  That the announced edge never goes back is checked on every segment by script.h.
 */
#include "script_open.h"

enum { MSS = 1448, INITIAL = 65536, BOUND = 4 << 20 };

/* An open connection with autotuning, and the peer's view of it. */
static void tuned(const struct setup *base)
{
	struct setup setup = *base;

	setup.rcv_buf = INITIAL;
	setup.snd_buf = INITIAL;
	setup.rcv_buf_max = BOUND;
	established(&setup);
	w.cfg.rcv_buf_min = INITIAL;
	w.cfg.snd_buf_min = INITIAL;
	w.cfg.buf_max = BOUND;
	w.tcb.rcv_auto = true;
	w.tcb.snd_auto = true;
	w.tcb.rtt_min = 20 * US_PER_MS; /* the script's handshake takes no time */
	w.tcb.srtt = w.setup.ts ? 20 * US_PER_MS : 0;
	w.edge = w.tcb.rcv_adv;
	w.edge_known = true;
	drop_seen();
}

/*
 * One round trip of a peer that sends what the window allows, but at most 'most' bytes, in
 * answer to what it saw before; the application reads 'read' per cent of each piece.
 */
static void round_trip(uint32_t most, unsigned read, weft_time_us rtt)
{
	uint32_t edge = w.edge, echo = w.ts_last, done = 0;

	advance(rtt);
	drop_seen();
	while (done < most && seq_lt(w.tcb.rcv_nxt, edge)) {
		uint32_t at = w.tcb.rcv_nxt - w.irs, len = 20 * MSS;

		len = edge - w.tcb.rcv_nxt < len ? edge - w.tcb.rcv_nxt : len;
		len = most - done < len ? most - done : len;
		done += len;
		if (w.tcb.ts_on)
			inject(". %u:%u ack 1 ts %u %u", at, at + len, peer_clock(), echo);
		else
			inject(". %u:%u ack 1", at, at + len);
		if (read > 0)
			recv_bytes(w.tcb.rcvq.bytes * read / 100);
		drop_seen();
	}
}

static void test_buffer_follows_a_long_path(void)
{
	tuned(&full_setup);
	for (unsigned i = 0; i < 12; i++)
		round_trip(UINT32_MAX, 100, 50 * US_PER_MS);
	CHECK_EQ(w.tcb.rcv_buf_size, BOUND);
	CHECK(counter_read(&w.counters, C_TCP_RCVBUF_GROWN) <= 6); /* it doubles at least */
	end_world();
}

static void test_buffer_is_a_few_times_what_the_path_brings(void)
{
	tuned(&full_setup);
	for (unsigned i = 0; i < 40; i++)
		round_trip(200000, 100, 50 * US_PER_MS);
	CHECK(w.tcb.rcv_buf_size >= 2 * 200000);
	CHECK(w.tcb.rcv_buf_size <= 6 * 200000 + 16 * 1460);
	end_world();
}

static void test_doubling_is_not_held_up(void)
{
	uint32_t cwnd = 10 * MSS;

	/* A peer in slow start: its cwnd is the limit in each round trip, never our window. */
	tuned(&full_setup);
	for (unsigned i = 0; i < 7; i++, cwnd *= 2) {
		uint32_t before = w.tcb.rcv_nxt;

		round_trip(cwnd, 100, 50 * US_PER_MS);
		CHECK_EQ(w.tcb.rcv_nxt - before, cwnd);
	}
	end_world();
}

static void test_unread_data_grows_nothing(void)
{
	tuned(&full_setup);
	for (unsigned i = 0; i < 20; i++)
		round_trip(UINT32_MAX, 0, 50 * US_PER_MS);
	CHECK_EQ(w.tcb.rcv_buf_size, INITIAL);
	end_world();
}

static void test_reading_in_bursts_on_a_short_path_grows_nothing(void)
{
	/* 500 bytes in each round trip of 50 us, read once a millisecond. */
	tuned(&ts_setup);
	w.tcb.srtt = 50;
	for (unsigned i = 0; i < 10000; i++)
		round_trip(500, i % 20 == 0 ? 100 : 0, 50);
	CHECK_EQ(w.tcb.rcv_buf_size, INITIAL);
	end_world();
}

static void test_size_of_the_users_stays(void)
{
	unsigned events = 0;

	tuned(&full_setup);
	tcp_set_rcv_buf(&w.tcb, 100000, &events);
	tcp_set_snd_buf(&w.tcb, 50000, &events);
	after_call(events);
	for (unsigned i = 0; i < 12; i++)
		round_trip(UINT32_MAX, 100, 50 * US_PER_MS);
	CHECK_EQ(w.tcb.rcv_buf_size, 100000);
	CHECK_EQ(w.tcb.snd_buf_size, 50000);
	end_world();
}

static void test_short_memory_takes_growth_back(void)
{
	struct bufpool *pool = bufpool_new(4096);
	struct buf *b = buf_new(pool, 2000);
	struct buf *c = buf_new(pool, 2000);

	tuned(&full_setup);
	for (unsigned i = 0; i < 6; i++)
		round_trip(UINT32_MAX, 100, 50 * US_PER_MS);
	uint32_t grown = w.tcb.rcv_buf_size;
	CHECK(grown > 4 * INITIAL);
	w.cfg.pool = pool;
	for (unsigned i = 0; i < 3; i++)
		round_trip(UINT32_MAX, 100, 50 * US_PER_MS);
	CHECK_EQ(w.tcb.rcv_buf_size, INITIAL);
	CHECK(w.edge - w.tcb.rcv_nxt <= INITIAL); /* what was announced was used up */
	buf_put(&b);
	for (unsigned i = 0; i < 12; i++)
		round_trip(UINT32_MAX, 100, 50 * US_PER_MS);
	CHECK_EQ(w.tcb.rcv_buf_size, BOUND);
	end_world();
	buf_put(&c);
	bufpool_free(pool);
}

static void test_without_timestamps_a_window_is_the_clock(void)
{
	struct setup setup = full_setup;

	setup.ts = false;
	setup.passive = true; /* no SYN of ours was timed */
	tuned(&setup);
	CHECK_EQ(w.tcb.srtt, 0);
	for (unsigned i = 0; i < 12; i++)
		round_trip(UINT32_MAX, 100, 50 * US_PER_MS);
	CHECK_EQ(w.tcb.rcv_buf_size, BOUND);
	tuned(&setup);
	for (unsigned i = 0; i < 1000; i++) /* 65 times the window, but slowly */
		round_trip(3 * MSS, 100, 100 * US_PER_MS);
	CHECK_EQ(w.tcb.rcv_buf_size, INITIAL);
	end_world();
}

/* ---- Sending. ---- */

/* The application fills the buffer and the peer acknowledges all, once in a round trip. */
static uint32_t fill_and_ack(void)
{
	uint32_t flight;

	send_bytes(tcp_send_room(&w.tcb));
	flight = tcp_flight(&w.tcb);
	drop_seen();
	advance(20 * US_PER_MS);
	inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
	drop_seen();
	return flight;
}

static void test_send_buffer_is_twice_cwnd(void)
{
	tuned(&full_setup);
	w.peer_wnd = 65535; /* times 4 */
	uint32_t before = w.tcb.snd_buf_size;
	for (unsigned i = 0; i < 12; i++) {
		uint32_t flight = fill_and_ack();
		uint32_t cwnd = w.tcb.cc.cwnd < 4 * 65535 ? w.tcb.cc.cwnd : 4 * 65535;
		bool grows = flight >= before / 2 && 2 * cwnd > before;

		CHECK_EQ(w.tcb.snd_buf_size, grows ? 2 * cwnd : before);
		before = w.tcb.snd_buf_size;
	}
	CHECK_EQ(w.tcb.snd_buf_size, 8 * 65535); /* what the peer can take bounds it */
	CHECK(counter_read(&w.counters, C_TCP_SNDBUF_GROWN) > 0);
	end_world();
}

static void test_queue_on_the_way_does_not_count(void)
{
	tuned(&full_setup);
	w.tcb.rtt_min = 2 * US_PER_MS; /* the rest of the 20 ms is a queue */
	for (unsigned i = 0; i < 12; i++)
		fill_and_ack();
	CHECK_EQ(w.tcb.snd_buf_size, INITIAL);
	end_world();
}

static void test_send_buffer_has_a_bound(void)
{
	tuned(&full_setup);
	w.cfg.buf_max = 100000;
	for (unsigned i = 0; i < 12; i++)
		fill_and_ack();
	CHECK_EQ(w.tcb.snd_buf_size, 100000);
	end_world();
}

static void test_short_memory_takes_the_send_buffer_back(void)
{
	struct bufpool *pool = bufpool_new(4096);
	struct buf *b = buf_new(pool, 2000);
	struct buf *c = buf_new(pool, 2000);

	tuned(&full_setup);
	for (unsigned i = 0; i < 8; i++)
		fill_and_ack();
	CHECK(w.tcb.snd_buf_size > INITIAL);
	w.cfg.pool = pool;
	fill_and_ack();
	CHECK_EQ(w.tcb.snd_buf_size, INITIAL);
	fill_and_ack();
	CHECK_EQ(w.tcb.snd_buf_size, INITIAL);
	end_world();
	buf_put(&b);
	buf_put(&c);
	bufpool_free(pool);
}

UNIT_MAIN("tcp_autotune", UNIT(buffer_follows_a_long_path),
	  UNIT(buffer_is_a_few_times_what_the_path_brings), UNIT(doubling_is_not_held_up),
	  UNIT(unread_data_grows_nothing), UNIT(reading_in_bursts_on_a_short_path_grows_nothing),
	  UNIT(size_of_the_users_stays), UNIT(short_memory_takes_growth_back),
	  UNIT(without_timestamps_a_window_is_the_clock), UNIT(send_buffer_is_twice_cwnd),
	  UNIT(queue_on_the_way_does_not_count), UNIT(send_buffer_has_a_bound),
	  UNIT(short_memory_takes_the_send_buffer_back))
