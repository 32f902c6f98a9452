/*
 * weft-get - fetches a file over HTTP/1.1, on weft's sockets or the kernel's.
 *
 * One connection for each repetition, one after the other, on the main thread; a signal closes the
 * socket from the signal thread.  Answers are parsed by libhttp-parser.
 */
#include "common.h"

#include <errno.h>
#include <http_parser.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_SIZE = 128 * 1024, HOST_SIZE = 256, PATH_SIZE = 4096, TIMEOUT_S = 60 };

struct get {
	/* From the command line. */
	const char *url;
	const char *out_path;
	const char *range;
	uint64_t repeat;
	bool is_head;

	/* Taken out of the URL. */
	char host[HOST_SIZE]; /* with ":port" if it was given */
	char path[PATH_SIZE];

	struct app *app;
	struct net_live live;
	FILE *out;

	/* The answer being read. */
	http_parser parser;
	bool is_complete;
	unsigned status;
	int out_error; /* errno of writing to 'out' */
	char *buf;

	uint64_t total_bytes; /* of bodies */
};

/* ---- Options. ---- */

enum { OPT_REPEAT = APP_OPTION_FIRST, OPT_HEAD, OPT_RANGE };

static bool take_option(void *ctx, int value, const char *arg)
{
	struct get *get = ctx;

	switch (value) {
	case 'o':
		get->out_path = arg;
		return true;
	case OPT_REPEAT:
		return parse_number(arg, UINT32_MAX, &get->repeat) && get->repeat > 0;
	case OPT_HEAD:
		get->is_head = true;
		return true;
	case OPT_RANGE:
		get->range = arg;
		/* It goes into the request as it is: no way to add further lines. */
		return arg[0] != '\0' && strspn(arg, "0123456789-") == strlen(arg);
	case APP_ARGUMENT:
		if (get->url)
			return false;
		get->url = arg;
		return true;
	default:
		return false;
	}
}

/* "http://HOST[:PORT][/PATH]" or the same without "http://".  False: malformed. */
static bool split_url(struct get *get)
{
	const char *host = get->url;
	const char *path;
	size_t host_size;

	if (strncmp(host, "http://", 7) == 0)
		host += 7;
	host_size = strcspn(host, "/?#");
	path = host + host_size;
	if (host_size == 0 || host_size >= HOST_SIZE || strstr(host, "://"))
		return false;
	memcpy(get->host, host, host_size);
	get->host[host_size] = '\0';
	if (snprintf(get->path, PATH_SIZE, "%s%.*s", *path == '/' ? "" : "/",
		     (int)strcspn(path, "#"), path) >= PATH_SIZE)
		return false;
	for (const char *at = get->url; *at; at++)
		if ((unsigned char)*at <= ' ' || *at == 127)
			return false;
	return true;
}

/* ---- The answer. ---- */

static int on_headers(http_parser *parser)
{
	struct get *get = parser->data;

	get->status = parser->status_code;
	/* 1: no body comes, whatever the head says. */
	return get->is_head ? 1 : 0;
}

static int on_body(http_parser *parser, const char *data, size_t size)
{
	struct get *get = parser->data;

	get->total_bytes += size;
	if (fwrite(data, 1, size, get->out) == size)
		return 0;
	get->out_error = errno;
	return -1;
}

static int on_complete(http_parser *parser)
{
	struct get *get = parser->data;

	/* 100 Continue and its like come before the answer. */
	if (parser->status_code >= 200) {
		get->is_complete = true;
		http_parser_pause(parser, 1);
	}
	return 0;
}

static const http_parser_settings settings = {
	.on_headers_complete = on_headers,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

/* Reads the answer from 'fd'.  0, or -1 after a line on stderr. */
static int read_answer(struct get *get, int fd)
{
	const struct app *app = get->app;

	http_parser_init(&get->parser, HTTP_RESPONSE);
	get->parser.data = get;
	get->is_complete = false;
	get->status = 0;
	while (!get->is_complete) {
		ssize_t n = app->ops->read(fd, get->buf, BUF_SIZE);
		enum http_errno error;

		if (n < 0) {
			if (!net_live_is_stopped(&get->live))
				app_say_error(app, "read", errno);
			return -1;
		}
		/* The head is all there is; print it as it comes. */
		if (get->is_head && fwrite(get->buf, 1, (size_t)n, get->out) != (size_t)n)
			get->out_error = errno;
		/* 0 bytes: the end of the stream, which ends some answers too. */
		(void)http_parser_execute(&get->parser, &settings, get->buf, (size_t)n);
		error = HTTP_PARSER_ERRNO(&get->parser);
		if (get->out_error != 0) {
			app_say_error(app, "cannot write the output", get->out_error);
			return -1;
		}
		if (!get->is_complete && (n == 0 || error != HPE_OK)) {
			if (!net_live_is_stopped(&get->live))
				app_say(app, "%s",
					n == 0 ? "the server closed before the answer was complete"
					       : http_errno_description(error));
			return -1;
		}
	}
	/* It was asked to close.  Waiting for that leaves TIME-WAIT, which holds the port, to it. */
	(void)net_set_timeouts(app->ops, fd, 1);
	(void)app->ops->read(fd, get->buf, BUF_SIZE);
	return 0;
}

static int send_request(struct get *get, int fd)
{
	char *request = get->buf;
	int size = snprintf(request, BUF_SIZE,
			    "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weft-get\r\n"
			    "Connection: close\r\n%s%s%s\r\n",
			    get->is_head ? "HEAD" : "GET", get->path, get->host,
			    get->range ? "Range: bytes=" : "", get->range ? get->range : "",
			    get->range ? "\r\n" : "");

	if (net_write_all(get->app->ops, fd, request, (size_t)size) == 0)
		return 0;
	if (!net_live_is_stopped(&get->live))
		app_say_error(get->app, "write", errno);
	return -1;
}

/* To the first address that answers; -1 after a line on stderr for each. */
static int connect_any(struct get *get, const struct app_addrs *addrs)
{
	char text[ADDR_TEXT_SIZE];
	char what[ADDR_TEXT_SIZE + 16];

	for (unsigned i = 0; i < addrs->count; i++) {
		const struct sockaddr *addr = (const struct sockaddr *)&addrs->addr[i];
		int fd = net_live_connect(&get->live, 0, addr, addrs->len[i]);

		if (fd >= 0)
			return fd;
		if (net_live_is_stopped(&get->live))
			return -1;
		(void)snprintf(what, sizeof(what), "cannot connect to %s",
			       net_addr_text(addr, text));
		app_say_error(get->app, what, errno);
	}
	return -1;
}

/* One connection, one answer. */
static int fetch(struct get *get, const struct app_addrs *addrs, bool is_last)
{
	const struct app *app = get->app;
	int fd = connect_any(get, addrs);
	int rc;

	if (fd < 0)
		return -1;
	(void)net_set_timeouts(app->ops, fd, TIMEOUT_S);
	if (is_last)
		net_set_linger(app->ops, fd);
	rc = send_request(get, fd);
	if (rc == 0)
		rc = read_answer(get, fd);
	net_live_close(&get->live, 0);
	if (rc == 0 && get->status >= 400) {
		app_say(app, "the server answered %u %s", get->status,
			http_status_str((enum http_status)get->status));
		rc = -1;
	}
	return rc;
}

static int open_output(struct get *get)
{
	get->out = stdout;
	if (!get->out_path || strcmp(get->out_path, "-") == 0)
		return 0;
	get->out = fopen(get->out_path, "we");
	if (get->out)
		return 0;
	app_say_error(get->app, get->out_path, errno);
	return -1;
}

/* Buffered bytes may fail to be written as late as here. */
static int close_output(struct get *get)
{
	int rc = fflush(get->out);
	int error = errno;

	if (get->out != stdout && fclose(get->out) != 0 && rc == 0) {
		error = errno;
		rc = -1;
	}
	if (rc != 0 && get->out_error == 0)
		app_say_error(get->app, "cannot write the output", error);
	return rc;
}

/* All repetitions; a file gets the body once, being written anew each time. */
static int fetch_all(struct get *get)
{
	struct app_addrs addrs;

	if (app_resolve(get->app, get->host, get->app->port, &addrs) < 0)
		return -1;
	for (uint64_t i = 0; i < get->repeat; i++) {
		int rc;

		if (open_output(get) < 0)
			return -1;
		rc = fetch(get, &addrs, i + 1 == get->repeat);
		if (close_output(get) != 0 || rc < 0)
			return -1;
	}
	return 0;
}

static void on_signal(void *ctx)
{
	net_live_stop(ctx);
}

static int run(struct get *get)
{
	struct app *app = get->app;
	int64_t start = now_us();
	int rc = -1;

	if (net_live_init(&get->live, app->ops, 1) < 0) {
		app_say_error(app, "memory", errno);
		return -1;
	}
	get->buf = malloc(BUF_SIZE);
	if (get->buf && app_signals_start(app, on_signal, &get->live) == 0) {
		rc = fetch_all(get);
		app_signals_end(app);
		if (net_live_is_stopped(&get->live))
			app_say(app, "interrupted");
	}
	if (app->has_stats)
		(void)fprintf(stderr, "%s: %" PRIu64 " bytes in %.3f s\n", app->name,
			      get->total_bytes, (double)(now_us() - start) / 1e6);
	free(get->buf);
	net_live_fini(&get->live);
	return rc;
}

static const char usage[] =
	"Usage: weft-get --addr A/PLEN --peer A [options] URL\n"
	"Fetches http://HOST[:PORT]/PATH (\"http://\" may be left out) to stdout.\n"
	"\n"
	"  -o FILE             write the body to FILE\n"
	"  --repeat N          fetch N times, each on a connection of its own\n"
	"  --head              ask for the head only, and print it\n"
	"  --range A-B         ask for a part: bytes A to B, \"A-\" or \"-LAST\"\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"repeat", required_argument, NULL, OPT_REPEAT},
		{"head", no_argument, NULL, OPT_HEAD},
		{"range", required_argument, NULL, OPT_RANGE},
		{NULL, 0, NULL, 0},
	};
	static struct get get = {.repeat = 1};
	struct app app = {
		.name = "weft-get",
		.usage = usage,
		.options = options,
		.option = take_option,
		.ctx = &get,
		.port = 80,
	};
	int rc;

	get.app = &app;
	app_parse(&app, argc, argv);
	if (!get.url || !split_url(&get))
		app_usage_error(&app, "%s; try --help", get.url ? "malformed URL" : "no URL given");
	if (app_open(&app) < 0)
		return EXIT_FAILED;
	rc = run(&get);
	app_close(&app);
	return rc == 0 ? 0 : EXIT_FAILED;
}
