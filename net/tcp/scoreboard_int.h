/* What the files of the scoreboard share; nobody else includes this. */
#ifndef WEFT_TCP_SCOREBOARD_INT_H
#define WEFT_TCP_SCOREBOARD_INT_H

#include "net/tcp/scoreboard.h"

/* Indices by sequence number: 'count' of them from 'head' on, room for twice 'cap'. */
static inline uint16_t *sb_order(const struct scoreboard *sb)
{
	return (uint16_t *)(uintptr_t)(sb->rec + sb->cap);
}

static inline struct sent *sb_at(struct scoreboard *sb, unsigned pos)
{
	return &sb->rec[sb_order(sb)[sb->head + pos]];
}

static inline uint32_t sb_len(const struct sent *r)
{
	return r->end - r->seq;
}

static inline bool sb_is_waiting(const struct sent *r)
{
	return (r->flags & (SB_LOST | SB_REXMIT)) == SB_LOST;
}

static inline uint16_t sb_index(const struct scoreboard *sb, const struct sent *r)
{
	return (uint16_t)(r - sb->rec);
}

/* Where the record is that holds 'seq', which one does. */
unsigned sb_find(struct scoreboard *sb, uint32_t seq);
/* Cuts the record at 'pos' in two at 'seq', which lies inside; false: there is no record left. */
bool sb_cut(struct tcb *tcb, unsigned pos, uint32_t seq);
/* Takes the record at 'pos', which is in no list, out of the order. */
void sb_remove(struct scoreboard *sb, unsigned pos);

/* Into the list with these ends, behind 'prev', at the front for SB_NONE. */
void sb_link_after(struct scoreboard *sb, uint16_t *first, uint16_t *last, uint16_t prev,
		   uint16_t i);
/* The lowest first as far as that costs nothing. */
void sb_link_waiting(struct scoreboard *sb, struct sent *r);
/* Out of its list, which the flags still tell. */
void sb_unlink(struct scoreboard *sb, const struct sent *r);

#endif
