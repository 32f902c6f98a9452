/* The invariants of scoreboard.h, for tests and simulation. */
#include "net/tcp/parts.h"
#include "net/tcp/scoreboard_int.h"

static unsigned check_list(const struct scoreboard *sb, uint16_t first, uint16_t last, bool waits)
{
	unsigned count = 0;
	uint16_t prev = SB_NONE;

	for (uint16_t i = first; i != SB_NONE; i = sb->rec[i].newer) {
		const struct sent *r = &sb->rec[i];

		WEFT_ASSERT(r->older == prev && !(r->flags & SB_SACKED) &&
			    sb_is_waiting(r) == waits);
		if (!waits && prev != SB_NONE) /* B4 */
			WEFT_ASSERT(seq_le(sb->rec[prev].sent_at, r->sent_at));
		WEFT_ASSERT(++count <= sb->count);
		prev = i;
	}
	WEFT_ASSERT(last == prev);
	return count;
}

struct sums {
	uint32_t sacked, lost, rexmit;
	unsigned in_lists, runs;
};

static void check_records(const struct tcb *tcb, struct sums *sums)
{
	struct scoreboard *sb = tcb->sb;
	uint32_t seq = seq_max(tcb->snd_una, tcb->iss + 1);
	bool was_sacked = false;

	for (unsigned pos = 0; pos < sb->count; pos++) {
		const struct sent *r = sb_at(sb, pos);
		bool is_sacked = r->flags & SB_SACKED;

		WEFT_ASSERT(r->seq == seq && seq_lt(r->seq, r->end));           /* B1 */
		WEFT_ASSERT(!is_sacked || !(r->flags & (SB_LOST | SB_REXMIT))); /* B2 */
		WEFT_ASSERT(!is_sacked || !was_sacked);                         /* B2 */
		sums->sacked += is_sacked ? sb_len(r) : 0;
		sums->lost += r->flags & SB_LOST ? sb_len(r) : 0;
		sums->rexmit += r->flags & SB_REXMIT ? sb_len(r) : 0;
		sums->in_lists += !is_sacked;
		sums->runs += is_sacked;
		was_sacked = is_sacked;
		seq = r->end;
	}
	WEFT_ASSERT(seq == tcb->snd_nxt || sb->count == 0); /* B1 */
}

void sb_check(const struct tcb *tcb)
{
	const struct scoreboard *sb = tcb->sb;
	struct sums sums = {0};
	unsigned free = 0;

	if (!sb)
		return;
	check_records(tcb, &sums);
	WEFT_ASSERT(sums.sacked == sb->sacked && sums.lost == sb->lost &&
		    sums.rexmit == sb->rexmit); /* B3 */
	WEFT_ASSERT(sums.runs == sb->sacked_runs);
	unsigned flying = check_list(sb, sb->oldest, sb->newest, false);

	WEFT_ASSERT(flying == sb->flying); /* B4 */
	WEFT_ASSERT(flying + check_list(sb, sb->wait_first, sb->wait_last, true) ==
		    sums.in_lists); /* B4, B5 */
	for (uint16_t i = sb->free; i != SB_NONE; i = sb->rec[i].newer)
		WEFT_ASSERT(++free <= sb->cap);
	WEFT_ASSERT(free + sb->count == sb->cap);
}
