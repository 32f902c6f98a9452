/*
 * micro.h - micro-benchmarks of the library's own levels: what one call of a mechanism costs.
 */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct micro {
	bool is_quick;      /* a few operations each: to see that they work */
	const char *filter; /* only names that begin so; NULL: all */
	uint32_t sizes[3];  /* numbers of entries and timers */
	unsigned size_count;
};

/* Does 'ops' operations. */
typedef void (*micro_fn)(void *ctx, uint64_t ops);

/* Whether a benchmark, or one of a group, is wanted. */
bool micro_wants(const struct micro *micro, const char *name);

/*
 * Runs 'fn' several times, each long enough for the clock, and prints the median of an operation's
 * time; with 'bytes' of an operation the rate, too.
 */
void micro_run(const struct micro *micro, const char *name, size_t bytes, micro_fn fn, void *ctx);

/* Prints a line of a distribution of times, nanoseconds. */
void micro_times(const char *name, uint64_t ops, double p50, double p9999, double max);

int64_t micro_clock(void);

/* Keeps a value from being optimised away. */
static inline void micro_keep(uint64_t value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

void micro_wire(const struct micro *micro);
void micro_table(const struct micro *micro);
void micro_dgram(const struct micro *micro);
void micro_stack(const struct micro *micro);
void micro_epoll(const struct micro *micro);

#endif
