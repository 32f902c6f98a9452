/*
 * weft-httpd - a web server for static files, one thread for each connection.
 *
 * What HTTP is stands in http_conn.c.  Options, threads and the stop on a signal are those of common.c and
 * serve.c.
 */
#include "http_conn.h"
#include "http_file.h"
#include "http_request.h"

#include <errno.h>
#include <unistd.h>

struct site {
	const char *root_path;
	int root;
};

static void serve_http(struct conn *conn, void *ctx)
{
	const struct site *site = ctx;
	struct http_work *work = http_work_new();
	struct http *http = http_new(conn, site->root);

	while (http && work && http_turn(http, work))
		continue;
	http_free(http);
	http_work_free(work);
}

enum { OPT_ROOT = APP_OPTION_FIRST };

static bool take_option(void *ctx, int value, const char *arg)
{
	struct site *site = ctx;

	if (value != OPT_ROOT)
		return false;
	site->root_path = arg;
	return true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"root", required_argument, NULL, OPT_ROOT},
		{NULL, 0, NULL, 0},
	};
	struct site site = {.root_path = ".", .root = -1};
	const struct server_config config = {.handle = serve_http, .ctx = &site};
	struct app app = {
		.name = "weft-httpd",
		.usage = "Usage: weft-httpd --addr A/PLEN --peer A [--root DIR] [options]\n"
			 "Serves the files below DIR over HTTP/1.1; one thread for each "
			 "connection.\n"
			 "\n"
			 "  --root DIR          what to serve; default: the current directory\n",
		.options = options,
		.option = take_option,
		.ctx = &site,
		.port = 80,
	};
	int rc;

	app_parse(&app, argc, argv);
	site.root = http_root_open(site.root_path);
	if (site.root < 0) {
		app_say_error(&app, site.root_path, errno);
		return EXIT_FAILED;
	}
	http_request_setup();
	if (app_open(&app) < 0) {
		(void)close(site.root);
		return EXIT_FAILED;
	}
	rc = server_run(&app, &config);
	app_close(&app);
	(void)close(site.root);
	return rc;
}
