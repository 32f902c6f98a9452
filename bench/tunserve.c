/* tunserve - the options of the bare server (tunserve.h).  Main thread. */
#include "tunserve.h"

#include "common.h"
#include "opts.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum {
	OPT_TUN = APP_OPTION_FIRST,
	OPT_ADDR,
	OPT_PEER,
	OPT_MTU,
	OPT_NO_OFFLOAD,
	OPT_THREADS,
	OPT_ROOT,
	OPT_HELP,
};

static const struct option options[] = {
	{"tun", required_argument, NULL, OPT_TUN},
	{"addr", required_argument, NULL, OPT_ADDR},
	{"peer", required_argument, NULL, OPT_PEER},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"no-offload", no_argument, NULL, OPT_NO_OFFLOAD},
	{"threads", no_argument, NULL, OPT_THREADS},
	{"root", required_argument, NULL, OPT_ROOT},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static const char usage[] =
	"Usage: tunserve --addr A/PLEN --peer A [--tun NAME] [--mtu N] [--no-offload] [--threads]\n"
	"                [--root FOLDER]\n"
	"Answers HTTP requests to port 80 of A and weft-perf's rr and crr (messages up to 64 "
	"bytes) to\n"
	"port 5210 over a TUN interface, with as little as it takes.\n"
	"--threads: each connection has a thread, which an accepting thread makes.\n"
	"--root: each answer of HTTP is read from FOLDER's file 1k.bin, as weft-httpd does it.\n";

static const struct app app = {.name = "tunserve"};

static bool take_option(struct loop_options *opt, bool *has_threads, int *root, int value)
{
	uint64_t number;

	switch (value) {
	case OPT_TUN:
		opt->tun_name = optarg;
		return strlen(optarg) < 16;
	case OPT_ADDR:
		opt->addr = optarg;
		return true;
	case OPT_PEER:
		opt->peer = optarg;
		return inet_pton(AF_INET, optarg, opt->peer4) == 1;
	case OPT_MTU:
		if (!parse_number(optarg, 65535, &number) || number < 1500)
			return false;
		opt->mtu = (uint32_t)number;
		return true;
	case OPT_NO_OFFLOAD:
		opt->has_offload = false;
		return true;
	case OPT_ROOT:
		*root = open(optarg, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return *root >= 0;
	default:
		*has_threads = true;
		return true;
	}
}

static void parse(struct loop_options *opt, bool *has_threads, int *root, int argc, char **argv)
{
	char host[64];
	int value;

	while ((value = opts_next(&app, usage, options, OPT_HELP, argc, argv)) >= 0)
		if (!take_option(opt, has_threads, root, value))
			opts_bad(&app);
	if (!opt->addr || !opt->peer || optind < argc)
		app_usage_error(&app, "give --addr A/PLEN and --peer A; try --help");
	(void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(opt->addr, "/"), opt->addr);
	if (inet_pton(AF_INET, host, opt->addr4) != 1)
		app_usage_error(&app, "--addr must be an IPv4 address");
}

int main(int argc, char **argv)
{
	struct loop_dev devs[LOOP_QUEUES_MAX] = {{.fd = -1}, {.fd = -1}};
	struct loop_options opt = {
		.has_offload = true, .mtu = 1500, .queues = 1, .buffers = 1, .tun_name = "tl0"};
	bool has_threads = false;
	int root = -1;

	parse(&opt, &has_threads, &root, argc, argv);
	if (loop_dev_open(devs, &opt) < 0 || fcntl(devs[0].fd, F_SETFL, 0) < 0)
		return EXIT_FAILED;
	(void)printf("listening on %s\n", opt.addr);
	(void)fflush(stdout);
	if (tunserve_run(&opt, &devs[0], has_threads, root) < 0)
		app_say(&app, "no threads");
	loop_dev_close(&devs[0]);
	return EXIT_FAILED;
}
