/*
 * The records of data in flight (net/tcp/scoreboard.h): random SACKs against a model, the limit and
 * what is beyond it, no memory, invalid blocks, reneging receivers.
 */
#include "path.h"
#include <stdlib.h>

enum { SPAN = 40000 };

static bool has[SPAN + 1];

static unsigned count_has(unsigned from)
{
	unsigned n = 0;

	for (unsigned i = from; i < SPAN; i++)
		n += has[i];
	return n;
}

/* One ACK with up to three blocks of what the model's receiver has. */
static void random_ack(struct prng *p, unsigned *next)
{
	char text[TEXT_MAX];
	int used;

	for (unsigned n = prng_below(p, 3); n > 0; n--) {
		unsigned from = prng_below(p, SPAN), len = 1 + prng_below(p, 3000);
		for (unsigned i = from; i < from + len && i < SPAN; i++)
			has[i] = true;
	}
	while (*next < SPAN && has[*next])
		(*next)++;
	used = snprintf(text, sizeof(text), ". 1:1 ack %u sack", 1 + *next);
	for (unsigned n = 0, i = *next + prng_below(p, SPAN - *next + 1); n < 3 && i < SPAN; n++) {
		while (i < SPAN && !has[i])
			i++;
		unsigned from = i;
		while (i < SPAN && has[i])
			i++;
		if (from > *next && from < i)
			used += snprintf(text + used, sizeof(text) - (size_t)used, " %u:%u",
					 1 + from, 1 + i);
	}
	inject("%s", text);
	drop_seen();
}

/* Never more SACKed than the receiver has, never delivered twice; repair ends everything. */
static void test_random_sacks_against_a_model(void)
{
	struct prng p;

	prng_init(&p, unit_seed());
	for (unsigned run = 0; run < 300; run++) {
		unsigned next = 0;

		open_path(run % 2 ? &sack_setup : &sack_ts_setup);
		memset(has, 0, sizeof(has));
		w.tcb.cc.cwnd = 1 << 20;
		w.cfg.gso_max = run % 3 ? 65535 : (uint32_t)w.tcb.mss;
		send_bytes(SPAN);
		drop_seen();
		for (unsigned step = 0; step < 60 && next < SPAN; step++) {
			random_ack(&p, &next);
			if (!w.tcb.sb)
				break;
			CHECK(w.tcb.sb->sacked <= count_has(next));
			CHECK_EQ(w.tcb.delivered, next + w.tcb.sb->sacked);
			CHECK(sb_pipe(&w.tcb) <= w.tcb.snd_nxt - w.tcb.snd_una + w.tcb.sb->rexmit);
			if (prng_below(&p, 8) == 0)
				advance(prng_below(&p, 300 * US_PER_MS));
			drop_seen();
		}
		for (unsigned i = 0; i < 100 && w.tcb.snd_una != w.tcb.snd_end; i++) {
			inject(". 1:1 ack %u",
			       w.tcb.snd_nxt - w.iss); /* a timeout leaves data unsent */
			drop_seen();
		}
		CHECK_EQ(w.tcb.delivered, SPAN);
		CHECK_EQ(sb_pipe(&w.tcb), 0);
		drop_seen();
	}
	end_world();
}

static void test_one_super_segment_is_cut_and_joined(void)
{
	open_path(&sack_setup);
	w.raw_gso = true;
	w.cfg.gso_max = 65535;
	w.tcb.rack_reordered = true; /* so that nothing is lost yet */
	send_bytes(10 * MSS);
	CHECK_EQ(seen_count(), 1);
	CHECK_EQ(w.tcb.sb->count, 1);
	advance(RTT);
	sack(0, 2, 3);
	CHECK_EQ(w.tcb.sb->count, 3);
	sack(0, 2, 5);
	CHECK_EQ(w.tcb.sb->count, 3); /* the run grows, nothing is added */
	sack(0, 7, 8);
	CHECK_EQ(w.tcb.sb->count, 5);
	sack(0, 2, 8);
	CHECK_EQ(w.tcb.sb->count, 3);
	CHECK_EQ(w.tcb.sb->sacked_runs, 1);
	ack(10);
	CHECK_EQ(w.tcb.sb->count, 0);
	drop_seen();
}

/* CVE-2019-11477 to 11479: as many holes as a peer can make, and more. */
static void test_limit_of_records_and_beyond(void)
{
	open_path(&sack_setup);
	w.tcb.cc.cwnd = 1 << 20;
	send_bytes(60000);
	drop_seen();
	for (unsigned i = 0; i < SB_RECS_MAX / 2 - 1; i++)
		inject(". 1:1 ack 1 sack %u:%u", 3 + 4 * i, 5 + 4 * i);
	drop_seen();
	CHECK(w.tcb.sb->count <= SB_RECS_MAX);
	CHECK_EQ(count_of(C_TCP_SACK_COARSE), 0);
	CHECK(w.tcb.sb->count >= SB_RECS_MAX - 2);
	for (unsigned i = SB_RECS_MAX / 2; i < SB_RECS_MAX; i++) {
		inject(". 1:1 ack 1 sack %u:%u", 3 + 4 * i, 5 + 4 * i);
		drop_seen();
	}
	CHECK(count_of(C_TCP_SACK_COARSE) > 0);
	CHECK_EQ(w.tcb.sb->count, SB_RECS_MAX);
	/* New data still leaves, and joins the last run. */
	w.tcb.cc.cwnd = 1 << 24;
	send_bytes(3000);
	CHECK(seen_count() > 0);
	CHECK_EQ(w.tcb.sb->count, SB_RECS_MAX);
	drop_seen();
	/* A timeout and the repair work on what there is; what was SACKed counts once. */
	advance(2 * US_PER_S);
	drop_seen();
	CHECK_EQ(w.tcb.delivered, w.tcb.sb->sacked);
	for (unsigned una = 1; una < w.queued + 1; una += 997) {
		inject(". 1:1 ack %u", una);
		drop_seen();
	}
	for (unsigned i = 0; i < 100 && w.tcb.snd_una != w.tcb.snd_end; i++) {
		inject(". 1:1 ack %u", w.tcb.snd_nxt - w.iss);
		drop_seen();
	}
	CHECK_EQ(sb_pipe(&w.tcb), 0);
	CHECK_EQ(w.tcb.delivered, w.queued);
	drop_seen();
	end_world();
}

/* ... also when the last run was SACKed, which new data joins. */
static void test_new_data_joins_a_sacked_run(void)
{
	open_path(&sack_setup);
	w.tcb.cc.cwnd = 1 << 20;
	w.tcb.rack_reordered = true; /* so that nothing is lost yet */
	send_bytes(60000);
	drop_seen();
	advance(RTT);
	for (unsigned i = 0; i < SB_RECS_MAX / 2; i++)
		inject(". 1:1 ack 1 sack %u:%u", 60001 - 2 - 4 * i, 60001 - 4 * i);
	drop_seen();
	CHECK_EQ(w.tcb.sb->count, SB_RECS_MAX);
	uint32_t sacked = w.tcb.sb->sacked;

	CHECK_EQ(w.tcb.delivered, sacked);
	w.tcb.cc.cwnd = 1 << 24;
	send_bytes(3000);
	CHECK(count_of(C_TCP_SACK_COARSE) > 0);
	CHECK_EQ(w.tcb.sb->sacked, sacked - 2);
	CHECK_EQ(w.tcb.delivered, w.tcb.sb->sacked);
	drop_seen();
	inject(". 1:1 ack %u", w.tcb.snd_nxt - w.iss);
	CHECK(w.tcb.delivered > 60000);
	CHECK_EQ(w.tcb.delivered, w.tcb.snd_una - w.iss - 1);
	drop_seen();
	end_world();
}

/* As a peer that wants to cost time: no text, no checks, nobody looks at what is sent. */
static void plain_ack(unsigned next, unsigned count, const struct tcp_sack *blocks)
{
	struct tcp_seg seg = {.seq = w.irs + 1, .ack = w.iss + next, .wnd = 65535};
	unsigned events = 0;

	seg.flags = TCP_ACK;
	seg.opt.sack_count = (uint8_t)count;
	for (unsigned i = 0; i < count; i++) {
		seg.opt.sack[i].start = w.iss + blocks[i].start;
		seg.opt.sack[i].end = w.iss + blocks[i].end;
	}
	w.why = tcp_input(&w.tcb, &seg, w.now, &events);
}

/*
 * Every second byte, four blocks an ACK, in several orders, past the limit of records: each ACK looks
 * at a few records for each block, however many there are, but for those that it changes.
 */
static void cost_of_bytes(unsigned step, unsigned acks)
{
	struct tcp_sack b[4];
	unsigned half = SPAN / 2;

	open_path(&sack_setup);
	w.tcb.cc.cwnd = 1 << 20;
	w.tcb.rack_reordered = true;
	send_bytes(SPAN);
	drop_seen();
	advance(RTT);
	for (unsigned i = 0; i < acks; i++) {
		for (unsigned k = 0; k < 4; k++) {
			b[k].start = 2 + 2 * ((4 * i + k) * step % (half - 1));
			b[k].end = b[k].start + 1;
		}
		uint32_t before = w.tcb.sb->walked;

		plain_ack(1, 4, b);
		CHECK(w.tcb.sb->walked - before <= 4 * 4 + 2);
	}
	sb_check(&w.tcb);
	/* The same blocks again, and around all of them, cost nothing that was not to be done once. */
	uint32_t before = w.tcb.sb->walked, count = w.tcb.sb->count;

	b[0] = (struct tcp_sack){2, SPAN + 1};
	plain_ack(1, 1, b);
	CHECK(w.tcb.sb->walked - before <= 2 * count + 4);
	before = w.tcb.sb->walked;
	for (unsigned i = 0; i < 100; i++)
		plain_ack(1, 1, b);
	CHECK(w.tcb.sb->walked - before <= 100 * 4);
	sb_check(&w.tcb);
	drop_seen();
	end_world();
}

static void test_every_second_byte_costs_little(void)
{
	cost_of_bytes(1, 100);
	cost_of_bytes(1, 5000);
	cost_of_bytes(7919, 5000);
	cost_of_bytes(SPAN / 2 - 2, 5000); /* downwards */
}

static unsigned grants;

static void *poor_memory(void *old, size_t size)
{
	if (size > 0 && grants == 0)
		return NULL;
	if (size == 0) {
		free(old);
		return NULL;
	}
	grants--;
	return realloc(old, size);
}

static void test_without_memory_to_grow_records_are_coarse(void)
{
	open_path(&sack_setup);
	w.cfg.mem = poor_memory;
	grants = 1;
	w.tcb.cc.cwnd = 1 << 20;
	for (unsigned i = 0; i < 30; i++) {
		send_bytes(MSS);
		advance(US_PER_MS);
	}
	CHECK_EQ(w.tcb.sb->cap, SB_RECS_MIN);
	CHECK(count_of(C_TCP_SACK_COARSE) > 0);
	CHECK_EQ(seen_count(), 30);
	drop_seen();
	/* Everything is lost and comes through in the end, one segment at a time. */
	unsigned una = 1;
	for (unsigned i = 0; i < 400 && una < 1 + 30 * MSS; i++) {
		pass_time(w.now + 200 * US_PER_S, true);
		for (const struct text *t; (t = take_seen()) != NULL;)
			if (t->seq - w.iss == una)
				una += t->len;
		advance(RTT);
		inject(". 1:1 ack %u", una);
	}
	CHECK_EQ(una, 1 + 30 * MSS);
	drop_seen();
	end_world();
}

static void test_without_memory_sending_waits_and_is_tried_again(void)
{
	open_path(&sack_setup);
	w.cfg.mem = poor_memory;
	grants = 0;
	send_bytes(MSS);
	CHECK_EQ(seen_count(), 0);
	CHECK(w.tcb.t_persist != WEFT_TIME_NEVER);
	advance(US_PER_S);
	CHECK_EQ(seen_count(), 0);
	grants = 1;
	advance(10 * US_PER_S);
	expect_segment(0);
	ack(1);
	drop_seen();
	end_world();
}

static void test_memory_goes_back_when_idle(void)
{
	in_flight(&sack_setup, 4);
	CHECK(w.tcb.sb != NULL);
	ack(4);
	advance(5 * US_PER_S);
	CHECK(w.tcb.sb == NULL);
	CHECK_EQ(tcp_deadline(&w.tcb), WEFT_TIME_NEVER);
}

static void test_blocks_outside_of_what_is_in_flight_are_ignored(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 12, 13);
	inject(". 1:1 ack 1 sack %u:%u", at(5), at(4));
	inject(". 1:1 ack 1 sack %u:%u", at(5), at(5));
	inject(". 1:1 ack 1 sack %u:%u", at(9), at(11));
	CHECK_EQ(w.tcb.sb->sacked, 0);
	CHECK_EQ(count_of(C_TCP_SACK_INVALID), 4);
	CHECK_EQ(w.tcb.dupacks, 0);
	CHECK_EQ(seen_count(), 0);
	drop_seen();
}

/* RFC 2018 8: the cumulative ACK arrives at data that was SACKed, and stays there. */
static void test_reneging_receiver_gets_everything_again(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 2, 10);
	drop_seen();
	ack(2); /* the holes arrived, but what is behind them is gone */
	drop_seen();
	/* Half a round trip is enough to know; the timeout would be 200 ms. */
	weft_time_us from = w.now;
	pass_time(w.now + US_PER_S, true);
	CHECK_EQ(w.now - from, w.tcb.srtt / 2);
	expect_segment(2);
	CHECK_EQ(count_of(C_TCP_SACK_RENEGED), 1);
	CHECK_EQ(w.tcb.sb->sacked, 0);
	for (unsigned i = 3; i <= 10; i++) {
		advance(RTT);
		ack(i);
	}
	CHECK_EQ(sb_pipe(&w.tcb), 0);
	drop_seen();
	end_world();
}

/* What was lost before the SACKs are forgotten, and between them: all from the lowest on. */
static void test_repair_after_reneging_is_in_order(void)
{
	unsigned last = 0, again = 0;

	in_flight(&sack_setup, 12);
	w.tcb.rack_reordered = false;
	inject(". 1:1 ack 1 sack %u:%u %u:%u %u:%u", at(1), at(2), at(3), at(6), at(8), at(12));
	CHECK(w.tcb.in_recovery);
	drop_seen();
	inject(". 1:1 ack %u sack %u:%u %u:%u", at(1), at(3), at(6), at(8), at(12));
	drop_seen();
	pass_time(w.now + US_PER_S, true);
	CHECK_EQ(count_of(C_TCP_SACK_RENEGED), 1);
	for (unsigned i = 0; i < 40 && w.tcb.snd_una != w.tcb.snd_nxt; i++) {
		uint32_t end = w.tcb.snd_una;

		for (const struct text *t; (t = take_seen()) != NULL; again++) {
			CHECK(t->retransmit && t->seq - w.iss > last);
			last = t->seq - w.iss;
			end = seq_max(end, t->seq + t->len);
		}
		advance(RTT);
		inject(". 1:1 ack %u", end - w.iss);
	}
	CHECK_EQ(again, 11);
	CHECK_EQ(sb_pipe(&w.tcb), 0);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_scoreboard", UNIT(random_sacks_against_a_model),
	  UNIT(one_super_segment_is_cut_and_joined), UNIT(limit_of_records_and_beyond),
	  UNIT(every_second_byte_costs_little), UNIT(new_data_joins_a_sacked_run),
	  UNIT(repair_after_reneging_is_in_order), UNIT(without_memory_to_grow_records_are_coarse),
	  UNIT(without_memory_sending_waits_and_is_tried_again), UNIT(memory_goes_back_when_idle),
	  UNIT(blocks_outside_of_what_is_in_flight_are_ignored),
	  UNIT(reneging_receiver_gets_everything_again))
