/*
 * explore [--faults N] [--scenario NAME] [--list]: every way in which up to N packets of a short
 * connection may be lost, doubled, reordered, delayed or come back later, one run of the real core
 * each (the simulation's ends, its checks after every event, its checks at the end).
 *
 * A run is its scenario and a list of faults (packet number, fate), and repeats exactly.  The search
 * runs a list, counts the packets, and goes on with each list that has one more fault behind the
 * last: depth first, no list twice, none left out.  A failure prints the list, which is as short as
 * it can be found in that order.  CTest label: sim.
 */
#include "sim.h"
#include "tests/args.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FAULTS_MAX = 8,
	PACKETS_MAX = 4096, /* a run with more is a storm */
	FAILURES_MAX = 5,
	DELAY_US = 10000,
	RATE = 10000,  /* bytes in a millisecond */
	SWAP_US = 200, /* a full packet's time on the link, and a bit */
	OLD_US = 3000000,
	FAULTS_ASKED = 2, /* from here on every edge of the state machine has to be taken */
};

enum fault_kind { LOST, TWICE, SWAPPED, LATE, OLD, KINDS };

static const char *const kind_names[KINDS] = {"lost", "twice", "swapped", "late", "old"};
static const struct sim_fate fates[KINDS] = {
	[LOST] = {.lost = "lost"},
	[TWICE] = {.twice = true, .again = 1},
	[SWAPPED] = {.late = SWAP_US},
	[LATE] = {.late = 3 * (weft_time_us)DELAY_US}, /* more than a round trip */
	[OLD] = {.twice = true, .again = OLD_US},
};

struct plan {
	uint32_t total, write_max, rcv_buf;
	weft_time_us write_pause, read_pause;
	weft_time_us
		end_after; /* it ends so long after the opening began; 0: when all is written */
	enum sim_ending ending;
};

struct scenario {
	const char *name;
	bool simultaneous; /* both ends open actively */
	uint32_t iss;      /* of both */
	struct plan plan[2];
};

#define WRAP UINT32_C(0xfffffffe)
#define HALF UINT32_C(0x7fffffff)

static const struct scenario scenarios[] = {
	{"empty", false, WRAP, {{.write_max = 1}, {.write_max = 1}}},
	{"one-way", false, WRAP, {{.total = 4000, .write_max = 4000}, {.write_max = 1}}},
	{"both-ways",
	 false,
	 HALF,
	 {{.total = 100, .write_max = 100}, {.total = 3000, .write_max = 3000}}},
	{"small-writes", false, 0, {{.total = 4, .write_max = 1}, {.total = 2, .write_max = 1}}},
	{"crossing-syns",
	 true,
	 WRAP,
	 {{.total = 10, .write_max = 10}, {.total = 10, .write_max = 10}}},
	{"crossing-syns-empty", true, HALF, {{.write_max = 1}, {.write_max = 1}}},
	{"half-close",
	 false,
	 0,
	 {{.write_max = 1}, {.total = 6, .write_max = 2, .write_pause = 50000}}},
	{"server-closes",
	 false,
	 WRAP,
	 {{.total = 6, .write_max = 2, .write_pause = 50000}, {.write_max = 1}}},
	{"close-unread",
	 false,
	 HALF,
	 {{.total = 10, .write_max = 10, .ending = SIM_CLOSE}, {.total = 3000, .write_max = 3000}}},
	{"abort",
	 false,
	 WRAP,
	 {{.total = 3000, .write_max = 1500, .write_pause = 20000, .ending = SIM_ABORT},
	  {.write_max = 1}}},
	{"zero-window",
	 false,
	 HALF,
	 {{.total = 5000, .write_max = 5000},
	  {.write_max = 1, .rcv_buf = 1500, .read_pause = 400000}}},
	/* SYN-SENT lasts for 10 ms, then SYN-RECEIVED for 10. */
	{"gives-up-in-syn-sent",
	 true,
	 WRAP,
	 {{.write_max = 1, .end_after = 5000, .ending = SIM_ABORT}, {.write_max = 1}}},
	{"gives-up-in-syn-received",
	 true,
	 HALF,
	 {{.write_max = 1, .end_after = 15000, .ending = SIM_ABORT}, {.write_max = 1}}},
	{"ends-in-syn-received",
	 true,
	 WRAP,
	 {{.write_max = 1, .end_after = 15000}, {.total = 10, .write_max = 10}}},
	{"burst", false, WRAP, {{.total = 14600, .write_max = 14600}, {.write_max = 1}}},
};

enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static struct explorer {
	struct sim sim;
	const struct scenario *scenario;

	struct {
		unsigned packet;
		enum fault_kind kind;
	} fault[FAULTS_MAX];

	unsigned fault_count, fault_max;
	unsigned packet;     /* sent so far in this run */
	unsigned fault_next; /* the first fault that is still to come */
	unsigned failures;
	unsigned long long runs;
	uint16_t edges[TCPS_COUNT]; /* taken so far */
	unsigned long long
		pairs[TCPS_COUNT]; /* states of end 1 seen with each state of end 0: a bit each */
} the;

void sim_print_name(const struct sim *sim)
{
	(void)sim;
	printf("%s:", the.scenario->name);
	for (unsigned i = 0; i < the.fault_count; i++)
		printf(" packet %u %s", the.fault[i].packet, kind_names[the.fault[i].kind]);
}

static void decide(struct sim_end *from, struct sim_fate *fate)
{
	struct sim *sim = from->sim;
	unsigned packet = the.packet++;

	the.pairs[sim->end[0].tcb.state] |= 1ull << sim->end[1].tcb.state;
	if (packet > PACKETS_MAX)
		sim_fail(sim, "a storm of packets");
	if (the.fault_next < the.fault_count && the.fault[the.fault_next].packet == packet)
		*fate = fates[the.fault[the.fault_next++].kind];
}

static void plan_end(struct sim_end *e, const struct scenario *s)
{
	const struct plan *plan = &s->plan[e->index];

	e->params.rcv_buf_size = plan->rcv_buf ? plan->rcv_buf : 65536;
	e->params.snd_buf_size = 65536;
	e->params.rcv_buf_max = 1 << 20;
	e->params.mss_local = 1460;
	e->params.rcv_auto = e->params.snd_auto = false;
	e->cfg.gso_max = 65536;
	e->iss = s->iss;
	e->out = (struct sim_link){.delay = DELAY_US, .rate = RATE, .queue_max = 1000};
	tcp_init(&e->tcb, &e->params);
	e->total = plan->total;
	e->write_max = plan->write_max;
	e->small_writes = false;
	e->read_max = 65536;
	e->write_pause = plan->write_pause;
	e->read_pause = plan->read_pause;
	e->ending = plan->ending;
	e->abort_at = plan->total;
	e->write_at = e->read_at = WEFT_TIME_NEVER;
	if (plan->end_after > 0)
		e->end_at = e->sim->now + plan->end_after;
}

/* One run; how many packets were sent. */
static unsigned run_once(void)
{
	static const struct sim_options none = {
		.loss_ppm = 0, .dup_ppm = 0, .reorder_ppm = 0, .seeds = 1};
	struct sim *sim = &the.sim;

	the.packet = 0;
	the.fault_next = 0;
	sim_begin(sim, 1);
	sim->now = sim->start = US_PER_S;
	sim->split = true;
	sim->wire = true;
	sim->decide = decide;
	for (unsigned i = 0; i < 2; i++) {
		end_init(sim, i, &none);
		plan_end(&sim->end[i], the.scenario);
	}
	sim->end[1].listens = !the.scenario->simultaneous;
	end_open(&sim->end[1]);
	end_open(&sim->end[0]);
	sim_run(sim);
	if (!sim->failed)
		sim_check_result(sim);
	for (unsigned i = 0; i < TCPS_COUNT; i++)
		the.edges[i] |= sim->edges[i];
	sim_fini(sim);
	the.runs++;
	the.failures += sim->failed;
	return the.packet;
}

/* All lists of faults that begin with the present one. */
static void explore(void)
{
	unsigned packets = run_once();
	unsigned at = the.fault_count;
	unsigned first = at > 0 ? the.fault[at - 1].packet + 1 : 0;

	if (at == the.fault_max)
		return;
	for (unsigned p = first; p < packets; p++) {
		for (unsigned kind = 0; kind < KINDS; kind++) {
			if (the.failures >= FAILURES_MAX)
				return;
			the.fault[at].packet = p;
			the.fault[at].kind = (enum fault_kind)kind;
			the.fault_count = at + 1;
			explore();
			the.fault_count = at;
		}
	}
}

static void on_abort(int signum)
{
	(void)signum;
	printf("ABORT ");
	sim_print_name(&the.sim);
	printf("\n");
	sim_print(&the.sim);
	signal(SIGABRT, SIG_DFL);
}

static void explore_scenario(const struct scenario *s)
{
	unsigned long long before = the.runs;

	the.scenario = s;
	the.fault_count = 0;
	explore();
	printf("%-20s %9llu runs\n", s->name, the.runs - before);
	fflush(stdout);
}

/* Pairs of states in which the ends were when a packet left. */
static void print_pairs(void)
{
	unsigned pairs = 0;

	for (unsigned a = 0; a < TCPS_COUNT; a++)
		pairs += (unsigned)__builtin_popcountll(the.pairs[a]);
	printf("%llu runs, %u pairs of states, %u failures\n", the.runs, pairs, the.failures);
}

/* An edge of the table that no run took was not looked at: how many there are. */
static unsigned edges_left(void)
{
	unsigned left = 0;

	for (unsigned a = 0; a < TCPS_COUNT; a++) {
		for (unsigned b = 0; b < TCPS_COUNT; b++) {
			/* TIME-WAIT is a record (timewait.h): no core leaves it. */
			if (!tcp_edge_legal(a, b) || a == TCPS_TIME_WAIT || the.edges[a] & 1u << b)
				continue;
			printf("never from %s to %s\n", tcp_state_name(a), tcp_state_name(b));
			left++;
		}
	}
	return left;
}

static unsigned read_faults(const char *text)
{
	return (unsigned)arg_number("tcp_explore", "--faults", text, 0, FAULTS_MAX);
}

static int usage(void)
{
	fprintf(stderr, "usage: tcp_explore [--faults 0..%d] [--scenario NAME] [--list]\n",
		FAULTS_MAX);
	return 2;
}

static const struct scenario *find(const char *name)
{
	for (unsigned i = 0; i < SCENARIOS; i++)
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct scenario *only = NULL;

	the.fault_max = 2;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0) {
			for (unsigned j = 0; j < SCENARIOS; j++)
				puts(scenarios[j].name);
			return 0;
		}
		if (i + 1 == argc)
			return usage();
		if (strcmp(argv[i], "--faults") == 0)
			the.fault_max = read_faults(argv[++i]);
		else if (strcmp(argv[i], "--scenario") != 0 || !(only = find(argv[++i])))
			return usage();
	}
	signal(SIGABRT, on_abort);
	for (unsigned i = 0; i < SCENARIOS && the.failures < FAILURES_MAX; i++)
		if (!only || only == &scenarios[i])
			explore_scenario(&scenarios[i]);
	print_pairs();
	if (!only && the.fault_max >= FAULTS_ASKED)
		the.failures += edges_left();
	return the.failures == 0 ? 0 : 1;
}
