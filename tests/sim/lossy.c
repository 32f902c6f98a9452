/*
 * lossy [--controller NAME] [--bytes N] [--first SEED]: a long stream through a link that loses a fifth
 * of all packets, in both directions, reorders and doubles others: it arrives whole, by the hash of
 * what was read, and in order, by each byte.  Without NAME all controllers, one after the other.  All
 * is virtual: minutes take seconds.  CTest label: sim.
 */
#include "net/base/check.h"
#include "sim.h"
#include "tests/args.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BYTES = 65000000,
	LOSS_PPM = 200000,
	DUP_PPM = 50000,
	REORDER_PPM = 100000,
	DELAY_MS = 5,
	JITTER_MS = 10,
	RATE = 12500, /* bytes in a millisecond: 100 Mbit/s */
	QUEUE = 200,
	BUFFER = 1 << 20,
	LIMIT_H = 24,
	PIECE = 1 << 16,
};

static const char program[] = "tcp_lossy";

static struct sim the_sim;
static const char *controller;

void sim_print_name(const struct sim *sim)
{
	printf("%s, seed %llu", controller, (unsigned long long)sim->seed);
}

static void plan_end(struct sim_end *e, const struct tcp_cc_ops *cc, uint32_t bytes)
{
	bool sends = e->index == 0;

	e->cfg.gso_max = 65535;
	e->cfg.rcv_buf_min = e->cfg.snd_buf_min = BUFFER;
	e->params.rcv_buf_size = e->params.snd_buf_size = e->params.rcv_buf_max = BUFFER;
	e->params.rcv_auto = e->params.snd_auto = false;
	e->params.mss_local = 1460;
	tcp_init(&e->tcb, &e->params);
	tcp_set_congestion(&e->tcb, cc, cc->more_size > 0 ? e->cc_more[0] : NULL, e->sim->now);
	e->out = (struct sim_link){
		.loss_ppm = LOSS_PPM,
		.dup_ppm = DUP_PPM,
		.reorder_ppm = REORDER_PPM,
		.delay = DELAY_MS * US_PER_MS,
		.jitter = JITTER_MS * US_PER_MS,
		.rate = RATE,
		.queue_max = QUEUE,
	};
	e->total = sends ? bytes : 0;
	e->write_max = 65536;
	e->read_max = 1 << 20;
	e->small_writes = false;
	e->write_pause = e->read_pause = 0;
	e->ending = SIM_SHUTDOWN;
	e->write_at = e->read_at = WEFT_TIME_NEVER;
}

/* The hash that the stream of end 0 should have. */
static uint64_t right_hash(uint32_t bytes)
{
	static uint8_t data[PIECE];
	uint64_t hash = 0;

	for (uint32_t at = 0; at < bytes; at += PIECE) {
		uint32_t len = bytes - at < PIECE ? bytes - at : PIECE;

		stream_fill(data, at, len, 0);
		hash = stream_hash(hash, data, len);
	}
	return hash;
}

/* The link was as bad as it is said to be: a tenth of it more or less. */
static void check_link(struct sim *sim)
{
	static const struct {
		enum sim_done what;
		unsigned ppm;
	} shares[] = {{SIM_LOST, LOSS_PPM},
		      {SIM_TWICE, DUP_PPM / 100 * (100 - LOSS_PPM / 10000)},
		      {SIM_LATE, REORDER_PPM / 100 * (100 - LOSS_PPM / 10000)}};

	for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
		uint64_t right = sim->done[SIM_SENT] * shares[i].ppm / 1000000;

		if (sim->done[shares[i].what] < right - right / 10 ||
		    sim->done[shares[i].what] > right + right / 10)
			sim_fail(sim, "%llu packets of %llu, not %llu, met fault %u",
				 (unsigned long long)sim->done[shares[i].what],
				 (unsigned long long)sim->done[SIM_SENT], (unsigned long long)right,
				 shares[i].what);
	}
}

static bool run(const struct tcp_cc_ops *cc, uint32_t bytes, uint64_t seed)
{
	static const struct sim_options none = {.seeds = 1};
	struct sim *sim = &the_sim;

	controller = cc->name;
	sim_begin(sim, seed);
	sim->now = sim->start = US_PER_S;
	sim->split = sim->wire = sim->hashes = true;
	sim->limit = LIMIT_H * 3600 * (weft_time_us)US_PER_S;
	for (unsigned i = 0; i < 2; i++) {
		end_init(sim, i, &none);
		plan_end(&sim->end[i], cc, bytes);
	}
	sim->end[1].listens = true;
	end_open(&sim->end[1]);
	end_open(&sim->end[0]);
	sim_run(sim);
	if (!sim->failed)
		sim_check_result(sim);
	if (!sim->failed && sim->end[1].hash != right_hash(bytes))
		sim_fail(sim, "another hash");
	check_link(sim);
	double s = (double)(sim->now - sim->start) / US_PER_S;
	const struct sim_end *e = &sim->end[0];

	printf("%-6s %u bytes in %.0f s, hash %016llx, %u retransmissions, %llu timeouts\n",
	       cc->name, sim->end[1].received, s, (unsigned long long)sim->end[1].hash,
	       e->tcb.retrans_total, (unsigned long long)counter_read(&e->counters, C_TCP_RTO));
	sim_fini(sim);
	return !sim->failed;
}

int main(int argc, char **argv)
{
	static const struct tcp_cc_ops *const all[] = {&tcp_cc_newreno, &tcp_cc_cubic, &tcp_cc_bbr,
						       &tcp_cc_bbr1};
	uint64_t seed = arg_seed(program, 1);
	const char *only = NULL;
	uint32_t bytes = BYTES;
	bool passed = true, found = false;

	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && strcmp(argv[i], "--controller") == 0)
			only = argv[i + 1];
		else if (strcmp(argv[i], "--bytes") == 0)
			bytes = (uint32_t)arg_number(program, argv[i], argv[i + 1], 1, UINT32_MAX);
		else if (strcmp(argv[i], "--first") == 0)
			seed = arg_number(program, argv[i], argv[i + 1], 0, UINT64_MAX);
		else
			arg_unknown(program, argv[i]);
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (only && strcmp(only, all[i]->name) != 0)
			continue;
		if (!found)
			printf("seed %llu\n", (unsigned long long)seed);
		found = true;
		passed = run(all[i], bytes, seed) && passed;
	}
	if (!found)
		arg_unknown(program, only);
	return passed ? 0 : 1;
}
