/*
 * weft-perf - measures throughput and latency of TCP, on weft's sockets or, with the same code, on
 * the kernel's.  This file is the command line; perf_client.c and perf_server.c are the two ends,
 * perf_proto.c is what they agree on.
 */
#include "perf_client.h"
#include "perf_server.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPT_SERVER = APP_OPTION_FIRST,
	OPT_CLIENT,
	OPT_MODE,
	OPT_SECONDS,
	OPT_STREAMS,
	OPT_SIZE,
	OPT_BYTES,
	OPT_JSON,
	OPT_VERIFY,
	OPT_ONCE,
	OPT_KEEP_GOING,
	OPT_ZEROCOPY,
};

enum { STREAMS_MAX = 100000, BULK_SIZE = 128 * 1024 };

struct command {
	struct perf_client_config client;
	bool is_server;
	bool is_once;
};

static bool parse_mode(const char *text, enum perf_mode *mode)
{
	static const struct {
		const char *name;
		enum perf_mode mode;
	} modes[] = {
		{"bulk", PERF_BULK},
		{"reverse", PERF_REVERSE},
		{"rr", PERF_RR},
		{"crr", PERF_CRR},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(text, modes[i].name) == 0) {
			*mode = modes[i].mode;
			return true;
		}
	return false;
}

/* A decimal number of seconds, "0.5". */
static bool take_seconds(struct perf_params *params, const char *arg)
{
	char *end;
	double seconds;

	if (!isdigit((unsigned char)arg[0]))
		return false;
	seconds = strtod(arg, &end);
	if (*end != '\0' || !(seconds >= 0.001 && seconds <= 86400))
		return false;
	params->duration_us = (uint64_t)(seconds * 1e6);
	return true;
}

/* Options with a whole number, at least 1. */
static bool take_number(struct command *command, int value, const char *arg)
{
	struct perf_params *params = &command->client.params;
	uint64_t max = UINT64_MAX >> 1;
	uint64_t number;

	if (value == OPT_STREAMS)
		max = STREAMS_MAX;
	else if (value == OPT_SIZE)
		max = PERF_SIZE_MAX;
	if (!parse_number(arg, max, &number) || number == 0)
		return false;
	if (value == OPT_STREAMS)
		command->client.streams = (uint32_t)number;
	else if (value == OPT_SIZE)
		params->size = (uint32_t)number;
	else
		params->bytes = number;
	return true;
}

static bool take_option(void *ctx, int value, const char *arg)
{
	struct command *command = ctx;

	switch (value) {
	case OPT_SERVER:
		command->is_server = true;
		return true;
	case OPT_CLIENT:
		command->client.host = arg;
		return true;
	case OPT_MODE:
		return parse_mode(arg, &command->client.params.mode);
	case OPT_SECONDS:
		return take_seconds(&command->client.params, arg);
	case OPT_STREAMS:
	case OPT_SIZE:
	case OPT_BYTES:
		return take_number(command, value, arg);
	case OPT_JSON:
		command->client.has_json = true;
		return true;
	case OPT_VERIFY:
		command->client.params.has_verify = true;
		return true;
	case OPT_ZEROCOPY:
		command->client.params.is_zerocopy = true;
		return true;
	case OPT_ONCE:
		command->is_once = true;
		return true;
	case OPT_KEEP_GOING:
		command->client.keeps_going = true;
		return true;
	default:
		return false;
	}
}

static const struct option options[] = {
	{"server", no_argument, NULL, OPT_SERVER},
	{"client", required_argument, NULL, OPT_CLIENT},
	{"mode", required_argument, NULL, OPT_MODE},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"streams", required_argument, NULL, OPT_STREAMS},
	{"size", required_argument, NULL, OPT_SIZE},
	{"bytes", required_argument, NULL, OPT_BYTES},
	{"json", no_argument, NULL, OPT_JSON},
	{"verify", no_argument, NULL, OPT_VERIFY},
	{"once", no_argument, NULL, OPT_ONCE},
	{"keep-going", no_argument, NULL, OPT_KEEP_GOING},
	{"zerocopy", no_argument, NULL, OPT_ZEROCOPY},
	{NULL, 0, NULL, 0},
};

static const char usage[] =
	"Usage: weft-perf --server --addr A/PLEN --peer A [options]\n"
	"       weft-perf --client HOST --addr A/PLEN --peer A [options]\n"
	"Measures TCP between two weft-perf, each on weft's sockets or (--kernel) the kernel's.\n"
	"\n"
	"  --server            serve tests until a signal comes\n"
	"  --once              server: stop after the first test\n"
	"  --client HOST       run a test with the server at HOST (\"[::1]\" or \"[::1]:99\" too)\n"
	"  --mode MODE         bulk: the client sends; reverse: the server sends; rr: messages\n"
	"                      there and back; crr: the same, each on a new connection.\n"
	"                      Default: bulk\n"
	"  --seconds N         how long, decimals allowed; default: 10\n"
	"  --bytes N           how much each stream sends, instead of --seconds\n"
	"  --streams N         how many connections, with a thread each; default: 1\n"
	"  --size N            bytes a write (default: 128K) or a message (default: 1)\n"
	"  --verify            bulk, reverse: both ends hash the stream (64-bit mixing) and "
	"compare;\n"
	"                      rr, crr: answers are compared with their messages\n"
	"  --zerocopy          bulk, reverse: whoever sends does so with MSG_ZEROCOPY\n"
	"  --keep-going        crr: count connections that fail and go on; default: stop\n"
	"  --json              print the results as one JSON object\n"
	"Numbers may end in K, M or G.  Kernel sockets are set to TCP_CONGESTION cubic.\n";

int main(int argc, char **argv)
{
	struct command command = {
		.client = {.streams = 1,
			   .params = {.mode = PERF_BULK, .duration_us = 10 * 1000000}},
	};
	struct perf_params *params = &command.client.params;
	struct app app = {
		.name = "weft-perf",
		.usage = usage,
		.options = options,
		.option = take_option,
		.ctx = &command,
		.port = 5210,
	};
	int rc;

	app_parse(&app, argc, argv);
	if (command.is_server == (command.client.host != NULL))
		app_usage_error(&app, "give either --server or --client HOST; try --help");
	if (params->size == 0)
		params->size = params->mode >= PERF_RR ? 1 : BULK_SIZE;
	params->seed = app.config.seed;
	if (app_open(&app) < 0)
		return EXIT_FAILED;
	if (command.is_server)
		rc = perf_server_run(&app, command.is_once);
	else
		rc = perf_client_run(&app, &command.client);
	app_close(&app);
	return rc;
}
