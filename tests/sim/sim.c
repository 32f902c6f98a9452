/*
 * sim --seeds N --first S [--loss PPM --dup PPM --reorder PPM --verbose --minimise]: runs one connection a seed
 * over the simulated link and checks both ends after every event.  Exit 0 when all seeds pass; a
 * failure prints the seed and the last segments.  CTest label: sim.
 */
#include "sim.h"
#include "net/base/check.h"
#include "tests/args.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char program[] = "tcp_sim";

enum { ASKED_SEEDS = 1000 };

/* What the core counts that some run of a thousand has to have made it count. */
static const enum counter asked[] = {
	C_TCP_RTO,
	C_TCP_FAST_RETRANS,
	C_TCP_RACK_LOST,
	C_TCP_TLP_PROBE,
	C_TCP_TLP_REPAIRED,
	C_TCP_UNDO_EIFEL,
	C_TCP_UNDO_DSACK,
	C_TCP_UNDO_FRTO,
	C_TCP_DSACK_IN,
	C_TCP_DSACK_OUT,
	C_TCP_REORDER,
	C_TCP_OUT_OF_ORDER,
	C_TCP_DUP_ACK_IN,
	C_TCP_ZERO_WND_PROBE,
	C_TCP_RESET_IN,
	C_TCP_RESET_OUT,
	C_TCP_ECN_CE_IN,
	C_TCP_ECN_OPEN,
	C_TCP_ECN_ACCURATE,
	C_TCP_ECN_REDUCED,
	C_TCP_PMTU_LOWERED,
	C_TCP_MTU_BLACK_HOLE,
	C_TCP_MTU_PROBE,
	C_TCP_SYNACK_RETRANS,
	C_TCP_FASTOPEN_ACTIVE,
	C_TCP_FASTOPEN_PASSIVE,
	C_TCP_IW_LOST,
	C_TCP_RCVBUF_GROWN,
	C_TCP_SNDBUF_GROWN,
};

static struct sim the_sim;
static unsigned handshakes_lost;

/* What was run. */
static struct {
	uint64_t connections; /* runs in which both ends were through the handshake */
	uint64_t events, segments, bytes;
	uint64_t done[SIM_DONE_COUNT];
	struct counters counters; /* of both ends */
} total;

static const char *const done_names[SIM_DONE_COUNT] = {
	[SIM_SENT] = "packets",    [SIM_LOST] = "lost",       [SIM_BURST] = "lost in bursts",
	[SIM_CORRUPT] = "corrupt", [SIM_TWICE] = "twice",     [SIM_LATE] = "late",
	[SIM_MARKED] = "marked",   [SIM_TOO_BIG] = "too big", [SIM_QUEUE_FULL] = "met a full queue",
};

void sim_print_name(const struct sim *sim)
{
	printf("seed %llu", (unsigned long long)sim->seed);
}

/* A broken invariant aborts: say which seed it was. */
static void on_abort(int signum)
{
	(void)signum;
	printf("ABORT seed %llu\n", (unsigned long long)the_sim.seed);
	sim_print(&the_sim);
	signal(SIGABRT, SIG_DFL);
}

static void start(struct sim *sim, uint64_t seed, const struct sim_options *options)
{
	sim_begin(sim, seed);
	/* Some runs cross the wrap of a 32-bit clock. */
	sim->now = sim->start = ((weft_time_us)1 << 32) - prng_below(&sim->prng, 100) * US_PER_S;
	sim->split = prng_below(&sim->prng, 3) > 0;
	sim->wire = prng_below(&sim->prng, 2);
	for (unsigned i = 0; i < 2; i++) {
		end_init(sim, i, options);
		app_plan(&sim->end[i]);
	}
	path_plan(sim);
	sim->end[1].listens = prng_below(&sim->prng, 8) > 0; /* else a simultaneous open */
	end_open(&sim->end[1]);
	end_open(&sim->end[0]);
}

static void count(const struct sim *sim)
{
	total.connections += sim->end[0].established && sim->end[1].established;
	total.events += sim->steps;
	for (unsigned i = 0; i < 2; i++) {
		total.segments += sim->end[i].segs_out;
		total.bytes += sim->end[i].received;
		for (unsigned c = 0; c < C_COUNT; c++)
			counter_add(&total.counters, c, counter_read(&sim->end[i].counters, c));
	}
	for (unsigned i = 0; i < SIM_DONE_COUNT; i++)
		total.done[i] += sim->done[i];
}

/*
 * A thousand seeds have to have asked for everything that they are said to ask for: each fault of the
 * link came up, and so did each mechanism that leaves a count.  How many did not.
 */
static unsigned not_asked(const struct sim_options *options)
{
	unsigned missing = 0;

	for (unsigned i = 0; i < SIM_DONE_COUNT; i++) {
		printf("%s%" PRIu64 " %s", i > 0 ? ", " : "", total.done[i], done_names[i]);
		missing += total.done[i] == 0;
	}
	printf("\n");
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		if (counter_read(&total.counters, asked[i]) > 0)
			continue;
		printf("never: %s\n", counter_name(asked[i]));
		missing++;
	}
	return options->seeds >= ASKED_SEEDS && options->loss_ppm == UINT32_MAX ? missing : 0;
}

/* One run; 'keep': only these packets may have faults, 'seen': takes the numbers of those that had. */
static bool run_once(uint64_t seed, const struct sim_options *options,
		     const struct sim_faults *faults, bool quiet)
{
	struct sim *sim = &the_sim;

	start(sim, seed, options);
	sim->quiet = quiet;
	sim->faults = *faults;
	sim_run(sim);
	if (!sim->failed)
		sim_check_result(sim);
	handshakes_lost += sim_handshake_lost(sim);
	count(sim);
	for (unsigned i = 0; i < 2 && options->rexmit_max > 0; i++)
		if (sim->end[i].tcb.retrans_total > options->rexmit_max)
			sim_fail(sim, "end %u: %u retransmissions", i,
				 sim->end[i].tcb.retrans_total);
	if (options->verbose) {
		sim_print_name(sim);
		printf(": ");
		sim_print(sim);
	}
	sim_fini(sim);
	return !sim->failed;
}

/*
 * A failing seed with as few faults as can be: leaves out halves, quarters, ... of those that are
 * left as long as the run still fails.  Then shows the run that is left.
 */
static void minimise(uint64_t seed, const struct sim_options *options, unsigned *kept,
		     unsigned count)
{
	unsigned *trial = calloc(count + 1, sizeof(*trial));
	unsigned runs = 0;

	WEFT_ASSERT(trial);
	for (unsigned part = count; part > 0; part /= 2) {
		for (unsigned at = 0; at < count;) {
			unsigned out = part < count - at ? part : count - at;

			memcpy(trial, kept, at * sizeof(*trial));
			memcpy(trial + at, kept + at + out, (count - at - out) * sizeof(*trial));
			runs++;
			if (run_once(seed, options,
				     &(struct sim_faults){.keep = trial, .keep_count = count - out},
				     true)) {
				at += out;
				continue;
			}
			count -= out;
			memcpy(kept, trial, count * sizeof(*trial));
		}
	}
	free(trial);
	printf("%u faults are needed (%u runs), those of packets", count, runs);
	for (unsigned i = 0; i < count; i++)
		printf(" %u", kept[i]);
	printf("\n");
	run_once(seed, options, &(struct sim_faults){.keep = kept, .keep_count = count}, false);
}

static bool run_seed(uint64_t seed, const struct sim_options *options)
{
	static unsigned seen[FAULTS_SEEN_MAX];
	struct sim_faults faults = {.seen = options->minimise ? seen : NULL};
	bool passed = run_once(seed, options, &faults, options->minimise);

	if (!passed && options->minimise)
		minimise(seed, options, seen, the_sim.faults.seen_count);
	return passed;
}

/* The members that an option with a number sets. */
struct number_option {
	const char *name;
	uint32_t min, max;
	uint32_t *to;
};

/* The number in 'text' for option 'name'; false: there is no such option. */
static bool take_number(struct sim_options *o, const char *name, const char *text)
{
	const struct number_option options[] = {
		{"--seeds", 1, UINT32_MAX, &o->seeds},
		{"--loss", 0, 1000000, &o->loss_ppm},
		{"--dup", 0, 1000000, &o->dup_ppm},
		{"--reorder", 0, 1000000, &o->reorder_ppm},
		{"--rexmit-max", 0, UINT32_MAX, &o->rexmit_max},
	};

	if (strcmp(name, "--first") == 0) {
		o->first = arg_number(program, name, text, 0, UINT64_MAX);
		return true;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(name, options[i].name) != 0)
			continue;
		*options[i].to =
			(uint32_t)arg_number(program, name, text, options[i].min, options[i].max);
		return true;
	}
	return false;
}

static void parse_arguments(int argc, char **argv, struct sim_options *o)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--verbose") == 0)
			o->verbose = true;
		else if (strcmp(argv[i], "--minimise") == 0)
			o->minimise = true;
		else if (take_number(o, argv[i], argv[i + 1]))
			i++;
		else
			arg_unknown(program, argv[i]);
	}
}

int main(int argc, char **argv)
{
	struct sim_options options = {.first = 1,
				      .seeds = 500,
				      .loss_ppm = UINT32_MAX,
				      .dup_ppm = UINT32_MAX,
				      .reorder_ppm = UINT32_MAX};
	unsigned failures = 0;

	options.first = arg_seed(program, options.first);
	parse_arguments(argc, argv, &options);
	signal(SIGABRT, on_abort);
	printf("seeds %llu to %llu\n", (unsigned long long)options.first,
	       (unsigned long long)(options.first + options.seeds - 1));
	for (unsigned i = 0; i < options.seeds && failures < 5; i++)
		failures += !run_seed(options.first + i, &options);
	printf("%u failures, %u handshakes that the link swallowed\n", failures, handshakes_lost);
	printf("%" PRIu64 " connections with both ends, %" PRIu64 " events, %" PRIu64
	       " segments, %" PRIu64 " bytes read\n",
	       total.connections, total.events, total.segments, total.bytes);
	failures += not_asked(&options);
	return failures == 0 ? 0 : 1;
}
