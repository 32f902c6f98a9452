/*
 * goodput [--check FILE | --update FILE] [--seconds N]: what each congestion controller brings over
 * the simulated link, by round trip and loss, in per cent of the link's rate.
 *
 * Everything is virtual, so the table is the same on every machine: FILE holds it, --check says in
 * which cells it differs, --update writes it anew.  A change of the sender shows there.  CTest label:
 * sim.
 */
#include "net/base/check.h"
#include "sim.h"
#include "tests/args.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RATE = 2500,  /* bytes in a millisecond: 20 Mbit/s */
	SECONDS = 10, /* of virtual time for a cell */
	SECONDS_MAX = 3600,
	QUEUE_MS = 50, /* how long the link's queue is */
	PACKET = 1500,
	BUFFER = 4 << 20,
	TABLE_MAX = 8192,
	AWAY_US = 3000,
	PACED = 2, /* the first of the controllers that have a rate */
};

static const struct tcp_cc_ops *const controllers[] = {&tcp_cc_newreno, &tcp_cc_cubic, &tcp_cc_bbr,
						       &tcp_cc_bbr1};
static const unsigned round_trips_ms[] = {1, 10, 100};
static const unsigned losses_ppm[] = {0, 1000, 10000, 50000};

static const char program[] = "tcp_goodput";

static struct sim the_sim;
static uint64_t more[2][64]; /* what a controller borrows, for each end */
static unsigned seconds = SECONDS;
static weft_time_us away; /* the sender's CPU is, for so long on average, half of the time */

void sim_print_name(const struct sim *sim)
{
	const struct sim_end *e = &sim->end[0];

	printf("%s, %lld ms, %u ppm", e->tcb.cc.ops->name, (long long)e->out.delay / 500,
	       e->out.loss_ppm);
}

static void plan_end(struct sim_end *e, const struct tcp_cc_ops *cc, unsigned rtt_ms, unsigned loss)
{
	bool sends = e->index == 0;

	e->cfg.gso_max = 65535;
	e->cfg.rcv_buf_min = e->cfg.snd_buf_min = BUFFER;
	e->params.rcv_buf_size = e->params.snd_buf_size = e->params.rcv_buf_max = BUFFER;
	e->params.rcv_auto = e->params.snd_auto = false;
	e->params.mss_local = 1460;
	tcp_init(&e->tcb, &e->params);
	WEFT_ASSERT(cc->more_size <= sizeof(more[0]));
	memset(more[e->index], 0, sizeof(more[0]));
	tcp_set_congestion(&e->tcb, cc, cc->more_size > 0 ? more[e->index] : NULL, e->sim->now);
	e->out = (struct sim_link){
		.loss_ppm = sends ? loss : 0,
		.delay = rtt_ms * US_PER_MS / 2,
		.rate = RATE,
		.queue_max = QUEUE_MS * RATE / PACKET,
	};
	e->total = sends ? UINT32_MAX / 2 : 0;
	e->write_max = 65536;
	e->read_max = 1 << 20;
	e->small_writes = false;
	e->write_pause = e->read_pause = 0;
	e->ending = SIM_SHUTDOWN;
	e->write_at = e->read_at = WEFT_TIME_NEVER;
	if (sends)
		cpu_plan(e, away, away);
}

/* Per cent of the link's rate that reached the reader. */
static double measure(const struct tcp_cc_ops *cc, unsigned rtt_ms, unsigned loss_ppm)
{
	static const struct sim_options none = {.seeds = 1};
	struct sim *sim = &the_sim;

	sim_begin(sim, 1);
	sim->now = sim->start = US_PER_S;
	sim->split = true;
	for (unsigned i = 0; i < 2; i++) {
		end_init(sim, i, &none);
		plan_end(&sim->end[i], cc, rtt_ms, loss_ppm);
	}
	sim->end[1].listens = true;
	end_open(&sim->end[1]);
	end_open(&sim->end[0]);
	sim_run_until(sim, sim->start + seconds * (weft_time_us)US_PER_S);
	double part = (double)sim->end[1].received / ((double)RATE * 1000 * seconds);

	sim_fini(sim);
	WEFT_ASSERT(!sim->failed);
	return 100 * part;
}

/* Adds the rows of round trips from 'shortest' on, for controllers from 'first' on; the length then. */
static size_t add_rows(char *text, size_t size, size_t used, size_t first, size_t shortest)
{
#define ADD(...) (used += (size_t)snprintf(text + used, size - used, __VA_ARGS__))
	ADD("%-10s %8s", "", "loss");
	for (size_t l = 0; l < ARRAY_SIZE(losses_ppm); l++)
		ADD(" %6.1f%%", losses_ppm[l] / 1e4);
	ADD("\n");
	for (size_t c = first; c < ARRAY_SIZE(controllers); c++) {
		for (size_t r = shortest; r < ARRAY_SIZE(round_trips_ms); r++) {
			ADD("%-10s %5u ms", controllers[c]->name, round_trips_ms[r]);
			for (size_t l = 0; l < ARRAY_SIZE(losses_ppm); l++)
				ADD(" %7.1f",
				    measure(controllers[c], round_trips_ms[r], losses_ppm[l]));
			ADD("\n");
		}
	}
	return used;
}

static void make_table(char *text, size_t size)
{
	size_t used = 0;

	ADD("per cent of a link of %d Mbit/s with a queue of %d ms, in %u s\n\n", RATE * 8 / 1000,
	    QUEUE_MS, seconds);
	used = add_rows(text, size, used, 0, 0);
	away = AWAY_US;
	ADD("\nthe same; the sender's CPU is away half of the time, for 0 to %d ms\n\n",
	    2 * AWAY_US / 1000);
	used = add_rows(text, size, used, PACED, 1);
#undef ADD
	WEFT_ASSERT(used < size);
}

static int check(const char *name, const char *table)
{
	static char old[TABLE_MAX];
	FILE *f = fopen(name, "r");

	if (!f) {
		fprintf(stderr, "goodput: cannot read %s\n", name);
		return 1;
	}
	old[fread(old, 1, sizeof(old) - 1, f)] = '\0';
	fclose(f);
	if (strcmp(old, table) == 0)
		return 0;
	printf("differs from %s, which has:\n%s\n", name, old);
	printf("If that is meant: goodput --update %s\n", name);
	return 1;
}

static int update(const char *name, const char *table)
{
	FILE *f = fopen(name, "w");

	if (!f || fputs(table, f) < 0 || fclose(f) != 0) {
		fprintf(stderr, "goodput: cannot write %s\n", name);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char table[TABLE_MAX];
	const char *checked = NULL, *updated = NULL;

	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && strcmp(argv[i], "--check") == 0)
			checked = argv[i + 1];
		else if (i + 1 < argc && strcmp(argv[i], "--update") == 0)
			updated = argv[i + 1];
		else if (strcmp(argv[i], "--seconds") == 0)
			seconds =
				(unsigned)arg_number(program, argv[i], argv[i + 1], 1, SECONDS_MAX);
		else
			arg_unknown(program, argv[i]);
	}
	make_table(table, sizeof(table));
	fputs(table, stdout);
	if (updated)
		return update(updated, table);
	return checked ? check(checked, table) : 0;
}
