/* Initial sequence numbers (RFC 6528, RFC 9293 3.4.1): a clock of 4 microseconds plus a keyed hash. */
#include "net/base/khash.h"
#include "script_open.h"

static uint64_t flow_hash(uint64_t seed, uint16_t port)
{
	struct khash_key key;

	khash_key_init(&key, seed, "isn");
	return khash(&key, &port, sizeof(port));
}

static void test_isn_follows_the_clock(void)
{
	uint64_t hash = flow_hash(1, 80);
	uint32_t first = tcp_isn(hash, 1000);

	CHECK_EQ(tcp_isn(hash, 1000 + 4) - first, 1);
	CHECK_EQ(tcp_isn(hash, 1000 + 10 * (weft_time_us)US_PER_S) - first, 2500000);
	/* It wraps after about 4.77 hours and goes on. */
	CHECK_EQ(tcp_isn(hash, 1000 + ((weft_time_us)4 << 32)) - first, 0);
	CHECK_EQ(tcp_isn(hash, 1000 + ((weft_time_us)4 << 32) + 4) - first, 1);
}

static void test_isn_differs_between_flows_and_keys(void)
{
	unsigned near = 0;

	for (uint16_t port = 1; port < 1000; port++) {
		uint32_t a = tcp_isn(flow_hash(1, port), 0),
			 b = tcp_isn(flow_hash(1, (uint16_t)(port + 1)), 0);
		near += a - b + 1000000 < 2000000;
		CHECK(a != tcp_isn(flow_hash(2, port), 0));
	}
	CHECK(near < 10);
}

static void test_isn_of_the_reference(void)
{
	CHECK_EQ(tcp_isn(0x1122334455667788u, 400), 0x55667788u + 100);
	CHECK_EQ(tcp_isn(0xffffffffu, 8), 1);
}

static void transfer(const struct setup *setup)
{
	unsigned acked = 1, at = 1;

	/* 200 KB each way across the wraps, then both close (PITFALLS class 22). */
	established(setup);
	for (unsigned i = 0; i < 140; i++) {
		send_bytes(1448);
		inject("P. %u:%u ack %u", at, at + 1448, acked);
		at += 1448;
		CHECK_EQ(recv_bytes(10000), 1448);
		acked = w.tcb.snd_max - w.iss;
		inject(". %u:%u ack %u", at, at, acked);
		drop_seen();
	}
	CHECK_EQ(w.tcb.snd_una - w.iss, 1 + 140 * 1448);
	shutdown_write();
	inject("F. %u:%u ack %u", at, at, acked + 1);
	CHECK_STATE(TCPS_TIME_WAIT);
	drop_seen();
}

static void test_transfer_across_the_wrap(void)
{
	for_each_setup(transfer);
}

UNIT_MAIN("tcp_isn", UNIT(isn_follows_the_clock), UNIT(isn_differs_between_flows_and_keys),
	  UNIT(isn_of_the_reference), UNIT(transfer_across_the_wrap))
