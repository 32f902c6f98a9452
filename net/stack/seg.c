/* Software segmentation.  TX thread and tests; touches nothing but its arguments. */
#include "net/stack/seg.h"

void seg_cut_init(struct seg_cut *cut, const struct tcp_seg_out *seg)
{
	*cut = (struct seg_cut){.seg = seg};
}

/* Refers to the next 'len' payload bytes; returns how many parts they are in. */
static unsigned take_bytes(struct seg_cut *cut, uint32_t len, struct iovec *iov)
{
	unsigned count = 0;

	while (len > 0 && cut->view < cut->seg->view_count) {
		const struct view *view = &cut->seg->view[cut->view];
		uint32_t left = view->len - cut->view_pos;
		uint32_t take = left < len ? left : len;

		/* struct iovec has no const; who writes to a device only reads it. */
		iov[count].iov_base = (void *)(uintptr_t)(view->data + cut->view_pos);
		iov[count].iov_len = take;
		count += take > 0;
		len -= take;
		cut->view_pos += take;
		if (cut->view_pos == view->len) {
			cut->view++;
			cut->view_pos = 0;
		}
	}
	return count;
}

bool seg_cut_next(struct seg_cut *cut, uint32_t max, struct seg_piece *piece, struct iovec *iov)
{
	const struct tcp_seg_out *seg = cut->seg;

	if (cut->is_done)
		return false;
	uint32_t left = seg->len - cut->offset;

	piece->seq = seg->seq + cut->offset;
	piece->len = max > 0 && left > max ? max : left;
	piece->flags = seg->flags;
	if (piece->len < left)
		piece->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (cut->offset > 0 && !seg->is_ace)
		piece->flags &= (uint8_t)~TCP_CWR;
	piece->iov_count = take_bytes(cut, piece->len, iov);
	cut->offset += piece->len;
	cut->is_done = cut->offset == seg->len;
	return true;
}
