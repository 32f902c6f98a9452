/*
 * Software segmentation: cuts a super-segment of the core into pieces of at most its MSS, by
 * reference.  Pure; the TX thread uses it for devices without TCP segmentation offload.
 */
#ifndef WEFT_STACK_SEG_H
#define WEFT_STACK_SEG_H

#include "net/tcp/tcp.h"
#include <sys/uio.h>

/* Where the cutting is. */
struct seg_cut {
	const struct tcp_seg_out *seg;
	uint32_t offset;   /* payload bytes given out */
	unsigned view;     /* the view that has the next byte ... */
	uint32_t view_pos; /* ... and where */
	bool is_done;
};

/* One segment as it goes on the wire. */
struct seg_piece {
	uint32_t seq;
	uint32_t len; /* payload bytes */
	uint8_t flags; /* FIN and PSH on the last piece only, CWR on the first only, unless it counts */
	unsigned iov_count; /* of its payload */
};

void seg_cut_init(struct seg_cut *cut, const struct tcp_seg_out *seg);

/*
 * The next piece, of at most 'max' payload bytes, its payload as up to TCP_VIEWS_MAX parts in
 * 'iov'; false behind the last.  A segment without payload is one piece.
 */
bool seg_cut_next(struct seg_cut *cut, uint32_t max, struct seg_piece *piece, struct iovec *iov);

#endif
