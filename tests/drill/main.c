/*
 * drill: runs scripts in the packetdrill language against weft, on virtual time.  One script after the
 * other, or several at once (--jobs), each with a stack of its own.
 */
#include "drill.h"

#include "net/base/check.h"
#include "net/base/sync.h"
#include "tests/args.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS_MAX = 64, OPTIONS_MAX = 32, SIZE_MAX_FILE = 1 << 20 };

static const char program[] = "drill";

static const char usage_text[] =
	"usage: drill [OPTIONS] FILE...\n"
	"Runs scripts in the packetdrill language against weft; see tests/drill/README.md.\n"
	"  -v, --verbose   print each event and what the stack sends\n"
	"  --strict        compare PSH; segments that nobody expected at the end are a failure\n"
	"  --isn N         begin the peer's sequence numbers at N instead of 0\n"
	"  --seed N        the stack's seed (default 1)\n"
	"  --jobs N        run N scripts at a time (default 1)\n"
	"  --parse         only parse\n"
	"  --NAME=VALUE    an option of the scripts', before their own, as --ip_version=ipv6\n"
	"Prints a line for each script and exits with 1 if one failed, with 2 for wrong usage.\n";

struct runs {
	struct mutex mu;
	struct drill_params params;
	bool is_parse_only;
	char **files;
	int count;
	int next;
	int passed, failed, unsupported;
	struct option options[OPTIONS_MAX];
	unsigned option_count;
};

/* The file's text; NULL with errno. */
static char *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "r");
	char *text;

	if (!f)
		return NULL;
	text = malloc(SIZE_MAX_FILE);
	WEFT_ASSERT(text);
	*size = fread(text, 1, SIZE_MAX_FILE, f);
	bool is_bad = ferror(f) != 0 || *size == SIZE_MAX_FILE;

	(void)fclose(f);
	if (!is_bad)
		return text;
	free(text);
	errno = *size == SIZE_MAX_FILE ? EFBIG : EIO;
	return NULL;
}

static void count_result(struct runs *runs, const char *path, const char *report,
			 bool is_unsupported)
{
	mutex_lock(&runs->mu);
	if (!report) {
		runs->passed++;
		printf("PASS %s\n", path);
	} else {
		runs->failed += !is_unsupported;
		runs->unsupported += is_unsupported;
		printf("%s %s\n  %s\n", is_unsupported ? "UNSUPPORTED" : "FAIL", path, report);
	}
	(void)fflush(stdout);
	mutex_unlock(&runs->mu);
}

static void run_file(struct runs *runs, const char *path)
{
	struct drill *drill = calloc(1, sizeof(*drill));
	struct script script;
	char text[200];
	size_t size;
	char *source = read_file(path, &size);

	WEFT_ASSERT(drill);
	if (!source) {
		(void)snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
		count_result(runs, path, text, false);
	} else if (!script_parse(&script, path, source, size)) {
		count_result(runs, path, script.error, false);
		script_free(&script);
	} else {
		bool is_ok = runs->is_parse_only || drill_run(drill, &script, &runs->params);

		drill_fini(drill);
		count_result(runs, path, is_ok ? NULL : drill->text, drill->is_unsupported);
		script_free(&script);
	}
	free(source);
	free(drill);
}

static void *runs_main(void *arg)
{
	struct runs *runs = arg;

	for (;;) {
		mutex_lock(&runs->mu);
		int i = runs->next < runs->count ? runs->next++ : -1;

		mutex_unlock(&runs->mu);
		if (i < 0)
			return NULL;
		run_file(runs, runs->files[i]);
	}
}

/* The number behind option 'i' - 1; there is one, if only argv's NULL. */
static uint64_t number_at(char **argv, int i, uint64_t min, uint64_t max)
{
	return arg_number(program, argv[i - 1], argv[i], min, max);
}

/* "--name=value" for the scripts. */
static void add_option(struct runs *runs, char *text)
{
	char *value = strchr(text, '=');

	if (strncmp(text, "--", 2) != 0 || !value || runs->option_count == OPTIONS_MAX)
		arg_unknown(program, text);
	*value++ = '\0';
	struct option *o = &runs->options[runs->option_count++];

	*o = (struct option){.name = text + 2, .value = value};
	if (runs->option_count > 1)
		o[-1].next = o;
	runs->params.options = runs->options;
}

/* Reads the options; the index of the first file. */
static int read_args(int argc, char **argv, struct runs *runs, unsigned *jobs)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "--verbose") == 0)
			runs->params.is_verbose = true;
		else if (strcmp(argv[i], "--strict") == 0)
			runs->params.is_strict = true;
		else if (strcmp(argv[i], "--parse") == 0)
			runs->is_parse_only = true;
		else if (strcmp(argv[i], "--isn") == 0 && ++i)
			runs->params.isn = (uint32_t)number_at(argv, i, 0, UINT32_MAX);
		else if (strcmp(argv[i], "--seed") == 0 && ++i)
			runs->params.seed = number_at(argv, i, 0, INT64_MAX);
		else if (strcmp(argv[i], "--jobs") == 0 && ++i)
			*jobs = (unsigned)number_at(argv, i, 1, JOBS_MAX);
		else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			exit(fputs(usage_text, stdout) < 0);
		else
			add_option(runs, argv[i]);
	}
	if (i == argc) {
		(void)fprintf(stderr, "%s: give FILE...; try --help\n", program);
		exit(2);
	}
	return i;
}

int main(int argc, char **argv)
{
	struct runs runs = {.params = {.seed = 1}};
	pthread_t threads[JOBS_MAX];
	unsigned jobs = 1;
	int first = read_args(argc, argv, &runs, &jobs);

	mutex_init(&runs.mu);
	runs.files = argv + first;
	runs.count = argc - first;
	for (unsigned i = 1; i < jobs; i++)
		if (thread_start(&threads[i], "drill", runs_main, &runs) != 0)
			jobs = i;
	(void)runs_main(&runs);
	for (unsigned i = 1; i < jobs; i++)
		thread_join(threads[i]);
	printf("%d passed, %d failed, %d unsupported\n", runs.passed, runs.failed,
	       runs.unsupported);
	mutex_fini(&runs.mu);
	return runs.failed + runs.unsupported > 0;
}
