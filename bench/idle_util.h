/*
 * idle_util.h - what the programs about many connections and many threads (idle, blocked) share:
 * clocks, memory, a histogram of times, random numbers, lines of output.
 */
#ifndef BENCH_IDLE_UTIL_H
#define BENCH_IDLE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Nanoseconds of the monotonic clock, and of the processor time that the process has used. */
int64_t clock_ns(void);
int64_t cpu_ns(void);

/* Pauses between two looks at something that has no other way to tell. */
void pause_us(unsigned us);

/* Bytes of the process in memory: now, and the most there ever were. */
uint64_t mem_now(void);
uint64_t mem_peak(void);

/* Mixes 'value' (the finaliser of splitmix64). */
uint64_t mix(uint64_t value);

/* Uniform in [0, bound), from a state that any value starts. */
uint32_t random_below(uint64_t *state, uint32_t bound);

/* As many descriptors as the process may have. */
void raise_descriptor_limit(void);

/* ---- Times in 16 classes for each power of two. ---- */

enum { HIST_CLASSES = 1024 };

struct hist {
	uint64_t count[HIST_CLASSES];
	uint64_t total;
	int64_t max_ns;
	uint64_t max_at; /* which one took longest, in the caller's count */
};

void hist_add(struct hist *hist, int64_t ns, uint64_t at);
void hist_join(struct hist *to, const struct hist *from);

/* Microseconds that 'share' (0.5: the median) of the times stay below. */
double hist_us(const struct hist *hist, double share);

/* ---- Output: one object a line, as JSON or to be read. ---- */

struct line {
	FILE *out;
	bool is_json;
	bool has_value;
};

void line_begin(struct line *line, const char *name);
void line_text(struct line *line, const char *key, const char *value);
void line_count(struct line *line, const char *key, uint64_t value);
void line_number(struct line *line, const char *key, double value);
void line_end(struct line *line);

#endif
