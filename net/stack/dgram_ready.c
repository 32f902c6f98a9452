/*
 * What poll says of a datagram socket, as Linux says it, and who hears when that changes: readable with
 * a message or an error, writable while less than half of SO_SNDBUF waits for the emitter.
 */
#include "net/stack/dgram.h"
#include <poll.h>

enum {
	READABLE = POLLIN | POLLRDNORM,
	WRITABLE = POLLOUT | POLLWRNORM | POLLWRBAND,
};

static bool has_room(const struct dgram *d) REQUIRES(lc_dgram)
{
	return d->out.mem < d->opt.sndbuf / 2;
}

static unsigned mask_of(struct dgram *d) REQUIRES(lc_dgram)
{
	unsigned mask = d->so_error != 0 || d->errs.head ? POLLERR : 0;

	if (d->rd_shut && d->wr_shut)
		mask |= POLLHUP;
	if (d->rd_shut)
		mask |= READABLE | POLLRDHUP;
	if (d->in.head)
		mask |= READABLE;
	if (has_room(d))
		mask |= WRITABLE;
	else
		d->wants_room = true;
	return mask;
}

unsigned dgram_ready(struct dgram *d)
{
	dgram_lock(d);
	unsigned mask = dgram_gone(d) != 0 ? POLLNVAL : mask_of(d);

	dgram_unlock(d);
	return mask;
}

static void tell(struct dgram *d, uint32_t key) REQUIRES(lc_dgram)
{
	struct watchers *ws = watchers_of(&d->watch);

	if (ws)
		watch_notify(ws, key, &ws->noted);
}

void dgram_tell_data(struct dgram *d)
{
	tell(d, READABLE);
}

/* Those who found none; others hear nothing of every datagram that leaves. */
void dgram_tell_room(struct dgram *d)
{
	if (!d->wants_room || !has_room(d))
		return;
	d->wants_room = false;
	tell(d, WRITABLE);
}

void dgram_tell_all(struct dgram *d)
{
	tell(d, WATCH_ANY);
}

void dgram_settle(struct dgram *d, struct watchers *ws)
{
	uint32_t mask = mask_of(d);
	uint32_t gone = ws->told & ~mask;

	ws->told = mask;
	if (gone != 0)
		watch_settle(ws, mask, &ws->noted);
}
