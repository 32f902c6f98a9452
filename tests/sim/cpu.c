/*
 * The CPU of an end that others use, too: what is due while it is away waits until it is back, in its
 * order.  That is what a busy machine does to a stack: late timers, and ACKs that come in one heap.
 * Called by run.c and goodput.c.
 */
#include "sim.h"

static weft_time_us about(struct sim_cpu *cpu, weft_time_us mean)
{
	return 1 + (weft_time_us)(prng_u64(&cpu->prng) % (uint64_t)(2 * mean));
}

void cpu_plan(struct sim_end *e, weft_time_us here, weft_time_us away)
{
	struct sim_cpu *cpu = &e->cpu;

	*cpu = (struct sim_cpu){.here = here, .away = away};
	prng_init(&cpu->prng, e->sim->seed ^ (uint64_t)(e->index + 1) << 40);
	if (away > 0)
		cpu->leaves = e->sim->now + about(cpu, here);
}

bool cpu_is_away(struct sim_end *e)
{
	struct sim_cpu *cpu = &e->cpu;

	while (cpu->away > 0 && cpu->leaves <= e->sim->now) {
		cpu->until = cpu->leaves + about(cpu, cpu->away);
		cpu->leaves = cpu->until + about(cpu, cpu->here);
	}
	return cpu->until > e->sim->now;
}

weft_time_us cpu_takes(struct sim_end *e, bool has_waited)
{
	struct sim_cpu *cpu = &e->cpu;

	if (!cpu_is_away(e) && (has_waited || cpu->line < e->sim->now))
		return e->sim->now;
	cpu->line = time_max(cpu->line + 1, cpu->until);
	return cpu->line;
}
