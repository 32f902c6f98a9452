/* The choices of one execution, in memory that a child shares with who waits for it; see sched.h. */
#include "path.h"

#include "sched.h"
#include <stdlib.h>
#include <sys/mman.h>

/* What could be chosen, and was. */
struct choice {
	uint8_t taken;
	uint8_t count;
};

static struct {
	unsigned depth;
	struct choice path[SCHED_DEPTH];
} * shared;

static const uint8_t *given;
static unsigned given_count;

void sched_share(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		abort();
}

void path_begin(const uint8_t *choices, unsigned count)
{
	given = choices;
	given_count = count;
	shared->depth = 0;
}

unsigned path_depth(void)
{
	return shared->depth;
}

unsigned path_take(unsigned count)
{
	unsigned depth = shared->depth;
	unsigned taken = depth < given_count ? given[depth] : 0;

	if (taken >= count)
		sched_fail("choice %u of %u at %u: the execution is another one", taken, count,
			   depth);
	if (depth >= SCHED_DEPTH)
		sched_fail("too many choices");
	shared->path[shared->depth++] = (struct choice){(uint8_t)taken, (uint8_t)count};
	return taken;
}

void path_print(FILE *out)
{
	unsigned last = shared->depth;

	while (last > 0 && shared->path[last - 1].taken == 0)
		last--;
	for (unsigned i = 0; i < last; i++)
		fprintf(out, "%s%u", i > 0 ? "," : "", shared->path[i].taken);
	fprintf(out, "%s\n", last == 0 ? "0" : "");
}

unsigned sched_next(uint8_t *choices)
{
	unsigned last = shared->depth;

	while (last > 0 && shared->path[last - 1].taken + 1 >= shared->path[last - 1].count)
		last--;
	for (unsigned i = 0; i < last; i++)
		choices[i] = shared->path[i].taken;
	if (last > 0)
		choices[last - 1]++;
	return last;
}
