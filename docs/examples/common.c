/*
 * common.c - options, opening and closing of the stack, signals and statistics of the example
 * programs and of weft-perf.  Everything here runs on the main thread, except run_signals (its own
 * thread) and app_say, which any thread may call.
 */
#include "common.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(HAVE_WEFT_DNS)
#include <weft/dns.h>
#endif

enum {
	OPT_TUN = 1000,
	OPT_ADDR,
	OPT_PEER,
	OPT_ADDR6,
	OPT_PEER6,
	OPT_PORT,
	OPT_MTU,
	OPT_QUEUES,
	OPT_NO_OFFLOAD,
	OPT_PLAIN_THREADS,
	OPT_PLAIN_RX,
	OPT_CAPTURE,
	OPT_STATS,
	OPT_SEED,
	OPT_KERNEL,
	OPT_CONGESTION,
	OPT_LOSS,
	OPT_REORDER,
	OPT_DUP,
	OPT_DELAY_US,
	OPT_FAULT_SEED,
	OPT_HOSTS,
	OPT_DNS,
	OPT_SEARCH,
	OPT_RESOLV_CONF,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option common_options[] = {
	{"tun", required_argument, NULL, OPT_TUN},
	{"addr", required_argument, NULL, OPT_ADDR},
	{"peer", required_argument, NULL, OPT_PEER},
	{"addr6", required_argument, NULL, OPT_ADDR6},
	{"peer6", required_argument, NULL, OPT_PEER6},
	{"port", required_argument, NULL, OPT_PORT},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"no-offload", no_argument, NULL, OPT_NO_OFFLOAD},
	{"plain-threads", no_argument, NULL, OPT_PLAIN_THREADS},
	{"plain-rx", no_argument, NULL, OPT_PLAIN_RX},
	{"capture", required_argument, NULL, OPT_CAPTURE},
	{"stats", no_argument, NULL, OPT_STATS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"kernel", no_argument, NULL, OPT_KERNEL},
	{"congestion", required_argument, NULL, OPT_CONGESTION},
	{"loss", required_argument, NULL, OPT_LOSS},
	{"reorder", required_argument, NULL, OPT_REORDER},
	{"dup", required_argument, NULL, OPT_DUP},
	{"delay-us", required_argument, NULL, OPT_DELAY_US},
	{"fault-seed", required_argument, NULL, OPT_FAULT_SEED},
	{"hosts", required_argument, NULL, OPT_HOSTS},
	{"dns", required_argument, NULL, OPT_DNS},
	{"search", required_argument, NULL, OPT_SEARCH},
	{"resolv-conf", required_argument, NULL, OPT_RESOLV_CONF},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
};

static const char common_usage[] =
	"\nStack (one of --addr, --addr6 and --kernel is needed):\n"
	"  --tun NAME          name of the TUN interface to make; default: the kernel chooses\n"
	"  --addr A/PLEN       the stack's IPv4 address, \"192.0.2.2/24\"\n"
	"  --peer A            the kernel's IPv4 address on the interface, \"192.0.2.1\"\n"
	"  --addr6 A/PLEN      the same for IPv6\n"
	"  --peer6 A\n"
	"  --port N            port to listen on or to connect to; default: %u\n"
	"  --mtu N             bytes; default: 1500\n"
	"  --queues N          RX threads and emitters, 1 to 16; default: 1\n"
	"  --no-offload        no checksum and segmentation offload\n"
	"  --plain-threads     only the stack's own threads send and receive\n"
	"  --plain-rx          only the RX thread receives; other threads may send\n"
	"  --capture FILE      write all packets to FILE, in pcapng form\n"
	"  --seed N            repeatable random numbers\n"
	"  --kernel            use the kernel's sockets instead of weft's; needs no interface\n"
	"  --congestion NAME   congestion control of a server's sockets, \"cubic\"\n"
	"\nNames of hosts:\n"
	"  --hosts FILE        hosts file; default: /etc/hosts\n"
	"  --dns SERVERS       ask these DNS servers, \"192.0.2.1 [2001:db8::1]:53\"\n"
	"  --search DOMAINS    of names without a dot, \"example.com\"\n"
	"  --resolv-conf FILE  servers and domains from a file like /etc/resolv.conf\n"
	"\nFaults, in both directions (PPM: of a million packets):\n"
	"  --loss PPM          lose packets\n"
	"  --reorder PPM       hold packets back until later ones have passed\n"
	"  --dup PPM           double packets\n"
	"  --delay-us N        delay every packet\n"
	"  --fault-seed N      repeatable faults\n"
	"\nOther:\n"
	"  --stats             print statistics on stderr at the end\n"
	"  --version           print the version and stop\n"
	"  --help              print this and stop\n"
	"\nSIGINT and SIGTERM stop the program in good order; SIGUSR1 prints statistics "
	"meanwhile.\n"
	"Exit code: 0 fine, 1 something failed, 2 wrong usage.\n";

/* One call of fputs, so that lines of several threads do not mix. */
static void say(const struct app *app, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static void say(const struct app *app, const char *format, va_list args)
{
	char text[512];
	char line[600];

	(void)vsnprintf(text, sizeof(text), format, args);
	(void)snprintf(line, sizeof(line), "%s: %s\n", app->name, text);
	(void)fputs(line, stderr);
}

void app_say(const struct app *app, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(app, format, args);
	va_end(args);
}

void app_say_error(const struct app *app, const char *what, int error)
{
	char text[128];

	app_say(app, "%s: %s", what, strerror_r(error, text, sizeof(text)));
}

void app_usage_error(const struct app *app, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(app, format, args);
	va_end(args);
	exit(EXIT_USAGE);
}

bool parse_number(const char *text, uint64_t max, uint64_t *number)
{
	static const char units[] = "KMG";
	unsigned shift = 0;
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno != 0)
		return false;
	if (*end != '\0') {
		const char *unit = strchr(units, toupper((unsigned char)*end));

		if (!unit || end[1] != '\0')
			return false;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (value > max >> shift)
		return false;
	*number = (uint64_t)value << shift;
	return true;
}

int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- Options. ---- */

/* Options with a number.  False: 'value' is none of them. */
static bool set_number(struct app *app, int value, const char *arg, bool *is_good)
{
	uint64_t number = 0;
	uint64_t max = UINT64_MAX;

	if (value == OPT_PORT)
		max = UINT16_MAX;
	else if (value == OPT_MTU)
		max = 65535;
	else if (value == OPT_QUEUES)
		max = WEFT_DEV_QUEUES_MAX;
	else if (value == OPT_LOSS || value == OPT_REORDER || value == OPT_DUP)
		max = 1000000;
	else if (value == OPT_DELAY_US)
		max = 60 * 1000000;
	else if (value != OPT_SEED && value != OPT_FAULT_SEED)
		return false;
	*is_good = parse_number(arg, max, &number);
	if (value == OPT_PORT)
		app->port = (uint16_t)number;
	else if (value == OPT_MTU)
		app->config.mtu = (uint32_t)number;
	else if (value == OPT_QUEUES)
		app->config.queues = (uint32_t)number;
	else if (value == OPT_SEED)
		app->config.seed = number;
	else if (value == OPT_FAULT_SEED)
		app->fault.seed = number;
	else if (value == OPT_DELAY_US)
		app->fault.delay_us = (uint32_t)number;
	else if (value == OPT_LOSS)
		app->fault.loss_ppm = (uint32_t)number;
	else if (value == OPT_REORDER)
		app->fault.reorder_ppm = (uint32_t)number;
	else
		app->fault.dup_ppm = (uint32_t)number;
	return true;
}

/* Options with a text and without an argument.  False: 'value' is none of them. */
static bool set_text_or_flag(struct app *app, int value, const char *arg)
{
	if (value == OPT_TUN)
		app->config.tun_name = arg;
	else if (value == OPT_ADDR)
		app->config.addr = arg;
	else if (value == OPT_PEER)
		app->config.peer = arg;
	else if (value == OPT_ADDR6)
		app->config.addr6 = arg;
	else if (value == OPT_PEER6)
		app->config.peer6 = arg;
	else if (value == OPT_CAPTURE)
		app->config.capture = arg;
	else if (value == OPT_CONGESTION)
		app->congestion = arg;
	else if (value == OPT_HOSTS)
		app->config.hosts_file = arg;
	else if (value == OPT_DNS)
		app->dns_servers = arg;
	else if (value == OPT_SEARCH)
		app->dns_search = arg;
	else if (value == OPT_RESOLV_CONF)
		app->resolv_conf = arg;
	else if (value == OPT_NO_OFFLOAD)
		app->config.no_offload = true;
	else if (value == OPT_PLAIN_THREADS)
		app->config.plain_threads = true;
	else if (value == OPT_PLAIN_RX)
		app->config.plain_rx = true;
	else if (value == OPT_STATS)
		app->has_stats = true;
	else if (value == OPT_KERNEL)
		app->is_kernel = true;
	else
		return false;
	return true;
}

static _Noreturn void print_help(const struct app *app)
{
	(void)fputs(app->usage, stdout);
	(void)printf(common_usage, app->port);
	exit(fflush(stdout) == 0 ? 0 : EXIT_FAILED);
}

static _Noreturn void print_version(const struct app *app)
{
	(void)printf("%s (weft %s)\n", app->name, weft_version());
	exit(fflush(stdout) == 0 ? 0 : EXIT_FAILED);
}

static void take_option(struct app *app, int value, const char *text, const char *arg)
{
	bool is_good = true;

	if (value == '?' || value == ':')
		app_usage_error(app, "%s '%s'; try --help",
				value == '?' ? "unknown or ambiguous option" : "no argument for",
				text);
	if (value == OPT_HELP)
		print_help(app);
	if (value == OPT_VERSION)
		print_version(app);
	if (!set_number(app, value, arg, &is_good) && !set_text_or_flag(app, value, arg))
		is_good = app->option && app->option(app->ctx, value, arg);
	if (!is_good && value == APP_ARGUMENT)
		app_usage_error(app, "unexpected argument '%s'; try --help", arg);
	if (!is_good)
		app_usage_error(app, "bad argument '%s' for '%s'; try --help", arg ? arg : "",
				text);
}

/* The common options and the program's own ones in one list, which the caller frees. */
static struct option *merge_options(const struct app *app)
{
	const size_t common_count = sizeof(common_options) / sizeof(common_options[0]);
	size_t own_count = 0;
	struct option *all;

	while (app->options && app->options[own_count].name)
		own_count++;
	all = calloc(common_count + own_count + 1, sizeof(*all));
	if (!all)
		return NULL;
	memcpy(all, common_options, sizeof(common_options));
	if (own_count > 0)
		memcpy(all + common_count, app->options, own_count * sizeof(*all));
	return all;
}

void app_parse(struct app *app, int argc, char **argv)
{
	struct option *all = merge_options(app);
	int value;

	if (!all) {
		app_say_error(app, "options", ENOMEM);
		exit(EXIT_FAILED);
	}
	app->config = (struct weft_config)WEFT_CONFIG_INIT;
	opterr = 0;
	for (;;) {
		int at = optind;

		value = getopt_long(argc, argv, "-:o:c:i:s:t:W:h", all, NULL);
		if (value < 0)
			break;
		take_option(app, value == 'h' ? (int)OPT_HELP : value, argv[at], optarg);
	}
	for (; optind < argc; optind++)
		take_option(app, APP_ARGUMENT, argv[optind], argv[optind]);
	free(all);
	if (!app->is_kernel && !app->config.addr && !app->config.addr6)
		app_usage_error(app, "give --addr or --addr6%s; try --help",
				app->needs_weft ? "" : " (or --kernel)");
	if (app->is_kernel && app->needs_weft)
		app_usage_error(app, "it does without --kernel");
}

/* ---- Stack. ---- */

static void get_stop_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGTERM);
}

/* Signals are blocked in all threads, for the signal thread to take them with sigwait. */
static void block_signals(void)
{
	sigset_t set;

	get_stop_signals(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

void app_signals_here(void)
{
	sigset_t set;

	get_stop_signals(&set);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* For --dns and --resolv-conf.  0, or -1 after a line on stderr. */
static int attach_dns(struct app *app)
{
	if (!app->dns_servers && !app->resolv_conf)
		return 0;
#if defined(HAVE_WEFT_DNS)
	const struct weft_dns_config config = {
		.servers = app->dns_servers,
		.search = app->dns_search,
		.resolv_conf = app->resolv_conf,
	};
	char why[256];

	if (weft_dns_attach(app->stack, &config, why, sizeof(why)) == 0)
		return 0;
	app_say(app, "%s", why);
#else
	app_say(app, "built without libweft-dns");
#endif
	weft_stack_close(app->stack);
	app->stack = NULL;
	return -1;
}

int app_open(struct app *app)
{
	const struct weft_fault *fault = &app->fault;
	char why[256] = "";

	block_signals();
	if (app->is_kernel) {
		app->ops = &net_ops_kernel;
		return 0;
	}
	if (fault->loss_ppm || fault->reorder_ppm || fault->dup_ppm || fault->delay_us)
		app->config.faults = fault;
	app->ops = &net_ops_weft;
	app->stack = weft_stack_open(&app->config, why, sizeof(why));
	if (app->stack)
		return attach_dns(app);
	if (why[0] != '\0')
		app_say(app, "%s", why);
	else
		app_say_error(app, "cannot open the stack", errno);
	return -1;
}

/* Prints those of 'values' that are not zero. */
static void print_values(const uint64_t values[128], const char *(*name)(unsigned index),
			 const char *(*text)(unsigned index))
{
	for (unsigned i = 0; i < 128 && name(i); i++) {
		const char *explanation = text(i);

		if (values[i] != 0)
			(void)fprintf(stderr, "  %-28s %14" PRIu64 "  %s\n", name(i), values[i],
				      explanation ? explanation : "");
	}
}

static void print_stats(struct weft_stack *stack)
{
	struct weft_stats stats;

	weft_stack_stats(stack, &stats);
	(void)fprintf(stderr,
		      "stack: %" PRIu64 " sockets, %" PRIu64 " connections, %" PRIu64
		      " half-open, %" PRIu64 " in TIME-WAIT, %" PRIu64 " buffer bytes\n",
		      stats.sockets, stats.conns, stats.syn_rcvd, stats.time_wait, stats.buf_bytes);
	(void)fputs("counters:\n", stderr);
	print_values(stats.counters, weft_counter_name, weft_counter_text);
	(void)fputs("drops:\n", stderr);
	print_values(stats.drops, weft_drop_name, weft_drop_text);
}

/*
 * Closed connections still have a FIN to send again or to wait for: they get that long to end in good
 * order before the stack resets them.
 */
static void wait_for_closing(struct weft_stack *stack)
{
	const struct timespec tick = {.tv_nsec = 10 * 1000 * 1000};
	struct weft_stats stats;

	for (int i = 0; i < 300; i++) {
		weft_stack_stats(stack, &stats);
		if (stats.conns == 0)
			return;
		(void)nanosleep(&tick, NULL);
	}
}

void app_close(struct app *app)
{
	if (!app->stack)
		return;
	wait_for_closing(app->stack);
	if (app->has_stats)
		print_stats(app->stack);
	weft_stack_close(app->stack);
	app->stack = NULL;
}

/* ---- Signals. ---- */

static void *run_signals(void *arg)
{
	struct app *app = arg;
	bool is_stopped = false;
	sigset_t set;
	int number;

	get_stop_signals(&set);
	(void)sigaddset(&set, SIGUSR1);
	while (sigwait(&set, &number) == 0) {
		if (number == SIGUSR1) {
			if (app->stack)
				print_stats(app->stack);
			continue;
		}
		if (__atomic_load_n(&app->is_ending, __ATOMIC_ACQUIRE))
			break;
		if (is_stopped)
			_exit(EXIT_FAILED);
		is_stopped = true;
		app->on_stop(app->on_stop_ctx);
	}
	return NULL;
}

int app_signals_start(struct app *app, void (*on_stop)(void *ctx), void *ctx)
{
	int rc;

	app->on_stop = on_stop;
	app->on_stop_ctx = ctx;
	__atomic_store_n(&app->is_ending, false, __ATOMIC_RELEASE);
	rc = pthread_create(&app->signal_thread, NULL, run_signals, app);
	if (rc != 0)
		app_say_error(app, "signal thread", rc);
	return rc == 0 ? 0 : -1;
}

void app_signals_end(struct app *app)
{
	__atomic_store_n(&app->is_ending, true, __ATOMIC_RELEASE);
	(void)pthread_kill(app->signal_thread, SIGTERM);
	(void)pthread_join(app->signal_thread, NULL);
}

/* ---- Addresses. ---- */

/* Cuts "host:port" and "[host]:port" into its parts.  False: malformed. */
static bool split_host(char *text, char **host, char **port)
{
	char *colon;

	*host = text;
	*port = NULL;
	if (text[0] == '[') {
		char *end = strchr(text, ']');

		if (!end || (end[1] != '\0' && end[1] != ':'))
			return false;
		*end = '\0';
		*host = text + 1;
		*port = end[1] == ':' ? end + 2 : NULL;
		return true;
	}
	colon = strchr(text, ':');
	/* Two colons: an IPv6 literal without brackets. */
	if (colon && !strchr(colon + 1, ':')) {
		*colon = '\0';
		*port = colon + 1;
	}
	return text[0] != '\0';
}

int app_resolve(const struct app *app, const char *host, uint16_t port, struct app_addrs *out)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char service[300];
	char text[300];
	char *name;
	char *given_port;
	int rc;

	if (!app->is_kernel)
		hints.ai_flags |= AI_ADDRCONFIG;
	if (snprintf(text, sizeof(text), "%s", host) >= (int)sizeof(text) ||
	    !split_host(text, &name, &given_port)) {
		app_say(app, "malformed address '%s'", host);
		return -1;
	}
	(void)snprintf(service, sizeof(service), "%u", port);
	if (given_port)
		(void)snprintf(service, sizeof(service), "%s", given_port);
	rc = app->is_kernel ? getaddrinfo(name, service, &hints, &found)
			    : weft_getaddrinfo(app->stack, name, service, &hints, &found);
	if (rc != 0) {
		app_say(app, "%s: %s", host, gai_strerror(rc));
		return -1;
	}
	out->count = 0;
	for (const struct addrinfo *at = found; at && out->count < APP_ADDRS_MAX;
	     at = at->ai_next) {
		memcpy(&out->addr[out->count], at->ai_addr, at->ai_addrlen);
		out->len[out->count++] = at->ai_addrlen;
	}
	if (app->is_kernel)
		freeaddrinfo(found);
	else
		weft_freeaddrinfo(found);
	return 0;
}
