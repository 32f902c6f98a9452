/*
 * What chance does to a packet: loss, bursts of loss, corruption, duplication, reordering, marks.  The fate
 * depends on the seed and the packet's number only, so that a run can be repeated without some of its
 * faults: what happens to the other packets stays as it was.
 */
#include "sim.h"

const char fate_burst[] = "lost in a burst";

static bool in_burst(struct sim_link *l, struct prng *p)
{
	if (l->burst_left == 0 && prng_chance_ppm(p, l->burst_ppm))
		l->burst_left = 1 + prng_below(p, l->burst_len);
	if (l->burst_left == 0)
		return false;
	l->burst_left--;
	return true;
}

/* Whether the fault of packet 'number' is to stay; asked for each number once, in order. */
static bool is_kept(struct sim_faults *f, unsigned number)
{
	if (!f->keep)
		return true;
	while (f->keep_next < f->keep_count && f->keep[f->keep_next] < number)
		f->keep_next++;
	return f->keep_next < f->keep_count && f->keep[f->keep_next] == number;
}

void fate_by_chance(struct sim_end *from, struct sim_fate *fate)
{
	struct sim_faults *f = &from->sim->faults;
	struct sim_link *l = &from->out;
	unsigned number = f->packets++;
	struct prng p;

	prng_init(&p, from->sim->seed ^ (uint64_t)(number + 1) << 32);
	if (in_burst(l, &p))
		fate->lost = fate_burst;
	else if (prng_chance_ppm(&p, l->loss_ppm))
		fate->lost = "lost";
	fate->corrupt = prng_chance_ppm(&p, l->corrupt_ppm);
	fate->twice = prng_chance_ppm(&p, l->dup_ppm);
	if (l->jitter > 0 && prng_chance_ppm(&p, l->reorder_ppm)) {
		fate->late = prng_below(&p, (uint32_t)l->jitter);
		fate->again = prng_below(&p, (uint32_t)l->jitter);
	}
	fate->mark = prng_chance_ppm(&p, l->ce_ppm);
	fate->untold = prng_chance_ppm(&p, l->untold_ppm);
	if (!fate->lost && !fate->corrupt && !fate->twice && fate->late == 0 && !fate->mark &&
	    !fate->untold)
		return;
	if (!is_kept(f, number))
		*fate = (struct sim_fate){.lost = NULL};
	else if (f->seen && f->seen_count < FAULTS_SEEN_MAX)
		f->seen[f->seen_count++] = number;
}
