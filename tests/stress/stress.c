/*
 * Stress: many threads on the public API.  Runs a mode and then demands that every count of the
 * stacks is back to zero.
 *
 *	stress --mode echo [--rounds N | --seconds N] [--threads N] [--seed N] [--loopback] [--queues N]
 *
 * WEFT_STRESS_SCALE (percent) scales the rounds, for checkers that are slow.  Exit 0: all well.
 */
#include "stress.h"

#include "tests/args.h"
#include <getopt.h>

enum { COUNT_MAX = 1000000000, THREADS_MAX = 10000 };

static const char program[] = "stress";

static const struct mode {
	const char *name;
	void (*run)(struct stress *stress);
	unsigned threads;
	unsigned rounds;
	bool opens; /* opens stacks by itself */
} modes[] = {
	{"echo", mode_echo, 8, 20, false},     {"storm", mode_storm, 8, 60, false},
	{"close", mode_close, 2, 40, false},   {"stop", mode_stop, 4, 20, true},
	{"accept", mode_accept, 8, 60, false}, {"share", mode_share, 2, 200, false},
	{"epoll", mode_epoll, 1, 40, false},   {"udp", mode_udp, 8, 200, false},
	{"calls", mode_calls, 4, 60, false},
};

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	arg_unknown(program, name);
}

static unsigned number(const char *option, const char *text, unsigned min, unsigned max)
{
	return (unsigned)arg_number(program, option, text, min, max);
}

static const struct mode *parse(struct stress *stress, int argc, char **argv)
{
	static const struct option options[] = {
		{"mode", required_argument, NULL, 'm'},
		{"rounds", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"threads", required_argument, NULL, 't'},
		{"seed", required_argument, NULL, 'e'},
		{"loopback", no_argument, NULL, 'l'},
		{"queues", required_argument, NULL, 'q'},
		{NULL, 0, NULL, 0},
	};
	const struct mode *mode = &modes[0];
	const char *scale = getenv("WEFT_STRESS_SCALE");
	unsigned rounds = 0;
	int c;

	stress->seed = arg_seed(program, 1);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'm')
			mode = find_mode(optarg);
		else if (c == 'r')
			rounds = number("--rounds", optarg, 0, COUNT_MAX);
		else if (c == 's')
			stress->deadline =
				clock_monotonic_us() +
				number("--seconds", optarg, 1, COUNT_MAX) * (weft_time_us)US_PER_S;
		else if (c == 't')
			stress->threads = number("--threads", optarg, 0, THREADS_MAX);
		else if (c == 'e')
			stress->seed = arg_number(program, "--seed", optarg, 0, UINT64_MAX);
		else if (c == 'l')
			stress->loopback = true;
		else if (c == 'q')
			stress->queues = number("--queues", optarg, 1, WEFT_DEV_QUEUES_MAX);
		else
			exit(2); /* getopt has said why */
	}
	if (optind < argc)
		arg_unknown(program, argv[optind]);
	if (stress->threads == 0)
		stress->threads = mode->threads;
	stress->rounds = rounds ? rounds : mode->rounds;
	if (scale)
		stress->rounds = (unsigned)((uint64_t)stress->rounds *
					    number("WEFT_STRESS_SCALE", scale, 1, COUNT_MAX) / 100);
	if (stress->rounds == 0)
		stress->rounds = 1;
	return mode;
}

int main(int argc, char **argv)
{
	static struct stress stress = {.deadline = WEFT_TIME_NEVER, .listener = -1, .queues = 1};
	const struct mode *mode = parse(&stress, argc, argv);

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("mode %s threads %u rounds %u seed %llu queues %u%s\n", mode->name, stress.threads,
	       stress.rounds, (unsigned long long)stress.seed, stress.queues,
	       stress.loopback ? " loopback" : "");
	if (!mode->opens)
		stress_open(&stress);
	mode->run(&stress);
	if (!mode->opens)
		stress_close(&stress);
	unsigned failures = atomic_load(&stress.failures);
	printf("%s: %u failures\n", mode->name, failures);
	return failures ? 1 : 0;
}
