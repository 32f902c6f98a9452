/*
 * idle_util.c - clocks, memory, histograms and output of the programs about many connections.  Any
 * thread; a histogram or a line belongs to one thread at a time.
 */
#include "idle_util.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void pause_us(unsigned us)
{
	const struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* The number behind 'key' in /proc/self/status, given there in kilobytes. */
static uint64_t read_status(const char *key)
{
	FILE *file = fopen("/proc/self/status", "re");
	char text[256];
	uint64_t bytes = 0;

	if (!file)
		return 0;
	while (fgets(text, sizeof(text), file))
		if (strncmp(text, key, strlen(key)) == 0)
			bytes = strtoull(text + strlen(key), NULL, 10) * 1024;
	(void)fclose(file);
	return bytes;
}

uint64_t mem_now(void)
{
	return read_status("VmRSS:");
}

uint64_t mem_peak(void)
{
	return read_status("VmHWM:");
}

uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
	value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
	return value ^ (value >> 31);
}

uint32_t random_below(uint64_t *state, uint32_t bound)
{
	return (uint32_t)(((mix((*state)++) >> 32) * bound) >> 32);
}

void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- Histogram. ---- */

static unsigned class_of(uint64_t ns)
{
	if (ns < 16)
		return (unsigned)ns;
	unsigned power = 63 - (unsigned)__builtin_clzll(ns);

	return (power - 3) * 16 + ((unsigned)(ns >> (power - 4)) & 15);
}

/* The middle of a class. */
static double class_ns(unsigned class)
{
	if (class < 16)
		return class;
	unsigned power = class / 16 + 3;
	double width = (double)((uint64_t)1 << (power - 4));

	return (16 + class % 16 + 0.5) * width;
}

void hist_add(struct hist *hist, int64_t ns, uint64_t at)
{
	if (ns < 0)
		ns = 0;
	hist->count[class_of((uint64_t)ns)]++;
	hist->total++;
	if (ns > hist->max_ns) {
		hist->max_ns = ns;
		hist->max_at = at;
	}
}

void hist_join(struct hist *to, const struct hist *from)
{
	for (unsigned i = 0; i < HIST_CLASSES; i++)
		to->count[i] += from->count[i];
	to->total += from->total;
	if (from->max_ns > to->max_ns) {
		to->max_ns = from->max_ns;
		to->max_at = from->max_at;
	}
}

double hist_us(const struct hist *hist, double share)
{
	uint64_t wanted = (uint64_t)((double)hist->total * share);
	uint64_t seen = 0;
	unsigned class = 0;

	for (; class < HIST_CLASSES - 1; class ++) {
		seen += hist->count[class];
		if (seen > wanted)
			break;
	}
	return hist->total == 0 ? 0 : class_ns(class) / 1000;
}

/* ---- Output. ---- */

void line_begin(struct line *line, const char *name)
{
	line->has_value = false;
	if (line->is_json)
		(void)fprintf(line->out, "{\"name\":\"%s\"", name);
	else
		(void)fprintf(line->out, "%s:", name);
}

static void begin_value(struct line *line, const char *key)
{
	if (line->is_json)
		(void)fprintf(line->out, ",\"%s\":", key);
	else
		(void)fprintf(line->out, "%s %s ", line->has_value ? "," : "", key);
	line->has_value = true;
}

void line_text(struct line *line, const char *key, const char *value)
{
	begin_value(line, key);
	if (line->is_json)
		(void)fprintf(line->out, "\"%s\"", value);
	else
		(void)fputs(value, line->out);
}

void line_count(struct line *line, const char *key, uint64_t value)
{
	begin_value(line, key);
	(void)fprintf(line->out, "%" PRIu64, value);
}

void line_number(struct line *line, const char *key, double value)
{
	begin_value(line, key);
	(void)fprintf(line->out, "%.3f", value);
}

void line_end(struct line *line)
{
	(void)fputs(line->is_json ? "}\n" : "\n", line->out);
	(void)fflush(line->out);
}
