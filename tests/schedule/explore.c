/*
 * Goes through the schedules of scenarios.
 *
 *	explore [--departures N | --all | --soak] [--most N] [NAME...]
 *	explore --schedule 0,1,1,0 NAME	one execution, with what each thread did
 *	explore --drop NAME		each wake-up dropped in turn: all drops must be found
 *	explore --list
 *
 * A fault ends the program with status 1 and the schedule that shows it; a canary must have one.
 */
#include "args.h"
#include "scenario.h"
#include "sched.h"

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char program[] = "explore";

struct settings {
	unsigned departures;
	bool is_bound_given;
	bool is_soak;
	bool drops;
	unsigned long most; /* executions; 0: all */
	const char *schedule;
};

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned read_schedule(const char *text, uint8_t *choices)
{
	unsigned count = 0;

	while (*text && count < SCHED_DEPTH) {
		char *end;

		choices[count++] = (uint8_t)strtoul(text, &end, 10);
		text = *end == ',' ? end + 1 : end;
	}
	return count;
}

static struct sched_limits limits_of(const struct scenario *s, const struct settings *set)
{
	struct sched_limits limits = {.departures = set->is_soak ? s->soak : s->departures};

	if (set->is_bound_given)
		limits.departures = set->departures;
	return limits;
}

/* All schedules; a fault ends the program. */
static void explore(const struct scenario *s, const struct sched_limits *limits,
		    const struct settings *set)
{
	static uint8_t choices[SCHED_DEPTH];
	unsigned count = 0, depth = 0;
	unsigned long runs = 0, cut = 0;
	double begin = seconds();
	struct sched_result result;

	do {
		sched_run(s->main, limits, choices, count, &result);
		runs++;
		cut += result.is_cut;
		depth = result.depth > depth ? result.depth : depth;
		if (s->late_us > 0 && result.elapsed > s->late_us)
			sched_fail("took %lld us of virtual time", (long long)result.elapsed);
	} while ((set->most == 0 || runs < set->most) && (count = sched_next(choices)) > 0);
	printf("%-28s %9lu schedules, %lu cut, %u choices at most, ", s->name, runs, cut, depth);
	if (limits->departures == SCHED_UNBOUNDED)
		printf("any number of");
	else
		printf("%u", limits->departures);
	printf(" departures, %.1f s%s\n", seconds() - begin, count > 0 ? " (not all)" : "");
	fflush(stdout);
}

/* In a child: whether a fault was found. */
static bool finds_fault(const struct scenario *s, const struct sched_limits *limits,
			const struct settings *set, bool is_quiet)
{
	fflush(stdout);
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		if (is_quiet &&
		    (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)))
			_exit(2);
		explore(s, limits, set);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	bool is_found = !WIFEXITED(status) || WEXITSTATUS(status) != 0;

	/* sched_fail ends with 1, and has said why. */
	if (is_found && !is_quiet && (!WIFEXITED(status) || WEXITSTATUS(status) != 1))
		sched_report(limits);
	return is_found;
}

/* Each wake-up of the first execution dropped, one at a time, in all schedules. */
static bool drop_wakes(const struct scenario *s, struct sched_limits limits,
		       const struct settings *set)
{
	struct sched_result result;
	unsigned found = 0;
	uint8_t none = 0;

	sched_run(s->main, &limits, &none, 0, &result);
	for (limits.drop = 1; limits.drop <= result.signals; limits.drop++)
		found += finds_fault(s, &limits, set, true);
	printf("%-28s %u of %u dropped wake-ups found\n", s->name, found, result.signals);
	return found == result.signals;
}

static bool run_scenario(const struct scenario *s, const struct settings *set)
{
	static uint8_t choices[SCHED_DEPTH];
	struct sched_limits limits = limits_of(s, set);
	struct sched_result result;

	if (set->schedule) {
		limits.is_traced = true;
		limits.departures = set->is_bound_given || limits.departures == SCHED_UNBOUNDED
					    ? limits.departures
					    : s->soak;
		sched_run(s->main, &limits, choices, read_schedule(set->schedule, choices),
			  &result);
		printf("no fault\n");
		return true;
	}
	if (set->drops)
		return drop_wakes(s, limits, set);
	bool is_found = finds_fault(s, &limits, set, s->is_canary);

	if (s->is_canary)
		printf("%-28s %s\n", s->name, is_found ? "found" : "NOT found");
	return is_found == s->is_canary;
}

static bool is_named(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static const struct scenario *const tables[] = {scenarios_of_parts,   scenarios_of_socks,
						scenarios_of_cancels, scenarios_of_dgrams,
						scenarios_of_handles, scenarios_with_faults};

static int run_all(char **names, const struct settings *set, bool is_list)
{
	unsigned ran = 0, failed = 0;

	for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct scenario *s = tables[i]; s->name; s++) {
			if (!is_named(s->name, names))
				continue;
			ran++;
			if (is_list)
				printf("%s\n", s->name);
			else if (!run_scenario(s, set))
				failed++;
		}
	}
	if (ran == 0)
		fprintf(stderr, "%s: no such scenario\n", program);
	return ran == 0 || failed > 0;
}

static unsigned read_departures(const char *text)
{
	return (unsigned)arg_number(program, "--departures", text, 0, SCHED_UNBOUNDED - 1);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"departures", required_argument, NULL, 'p'},
		{"all", no_argument, NULL, 'a'},
		{"soak", no_argument, NULL, 'k'},
		{"most", required_argument, NULL, 'm'},
		{"schedule", required_argument, NULL, 's'},
		{"drop", no_argument, NULL, 'd'},
		{"list", no_argument, NULL, 'l'},
		{0},
	};
	struct settings set = {0};
	bool is_list = false;
	int option;

	sched_share();
	/* Worlds come and go: their memory stays. */
	(void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 30);

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'p':
		case 'a':
			set.is_bound_given = true;
			set.departures = option == 'a' ? SCHED_UNBOUNDED : read_departures(optarg);
			break;
		case 'k':
			set.is_soak = true;
			break;
		case 'm':
			set.most = arg_number(program, "--most", optarg, 1, UINT32_MAX);
			break;
		case 's':
			set.schedule = optarg;
			break;
		case 'd':
			set.drops = true;
			break;
		case 'l':
			is_list = true;
			break;
		default:
			return 2;
		}
	}
	return run_all(argv + optind, &set, is_list);
}
