/*
 * What poll says of a datagram socket, as Linux says it, and who hears when that changes: readable with
 * a message or an error, writable while less than half of SO_SNDBUF waits for the emitter.  Who was
 * refused for want of memory is told when the pool has some, see mem_watch.h.
 */
#include "net/base/mechanism.h"
#include "net/stack/dgram.h"
#include "net/stack/mem_watch.h"
#include <poll.h>

enum {
	READABLE = POLLIN | POLLRDNORM,
	WRITABLE = POLLOUT | POLLWRNORM | POLLWRBAND,
};

static bool has_memory(struct dgram *d) REQUIRES(lc_dgram)
{
	return !d->wants_mem || mem_watch_has_room(dgram_stack(d));
}

static bool has_room(struct dgram *d) REQUIRES(lc_dgram)
{
	uint32_t enough = MECHANISM(dgram_half_room) ? d->opt.sndbuf / 2 : d->opt.sndbuf;

	return d->out.mem < enough && has_memory(d);
}

/* Somebody heard that there is no room; for memory the emitter has to come and look. */
static void want_room(struct dgram *d) REQUIRES(lc_dgram)
{
	d->wants_room = true;
	if (!d->wants_mem || d->looks_for_mem || d->is_closed || !mem_watch_is_on(&d->watch))
		return;
	d->looks_for_mem = true;
	txq_request_timer(stack_txq(&d->conn), &d->conn, mem_watch_next(dgram_stack(d)));
}

static unsigned mask_of(struct dgram *d) REQUIRES(lc_dgram)
{
	bool has_errs = d->errs.head && MECHANISM(errqueue_polled);
	unsigned mask = d->so_error != 0 || has_errs ? POLLERR : 0;

	if (d->rd_shut && d->wr_shut)
		mask |= POLLHUP;
	if (d->rd_shut)
		mask |= READABLE | POLLRDHUP;
	if (d->in.head)
		mask |= READABLE;
	if (has_room(d))
		mask |= WRITABLE;
	else
		want_room(d);
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
	if ((!d->wants_room && MECHANISM(dgram_room_wanted)) || !has_room(d))
		return;
	d->wants_room = false;
	d->wants_mem = false;
	tell(d, WRITABLE);
}

void dgram_want_memory(struct dgram *d)
{
	d->wants_mem = true;
	want_room(d);
}

bool dgram_looks_for_memory(struct dgram *d)
{
	d->looks_for_mem = d->wants_mem && !d->is_closed && mem_watch_is_on(&d->watch);
	return d->looks_for_mem;
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
