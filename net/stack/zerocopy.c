/* Sends by reference; see zerocopy.h.  Application threads; released() on whichever puts the last reference. */
#include "net/stack/zerocopy.h"

#include "net/base/mechanism.h"
#include "net/stack/stack_int.h"
#include "net/stack/tx.h"
#include <linux/errqueue.h>

enum { COPY_SIZE = 65536 }; /* a buffer of what is copied after all */

/* ---- Completions. ---- */

/* Whether 'err' goes on where the last entry of the queue ends, and says the same. */
static bool may_join(const struct sock_err *last, const struct sock_err *err)
{
	const struct sock_extended_err *a = &last->ctl.ee, *b = &err->ctl.ee;

	return a->ee_origin == SO_EE_ORIGIN_ZEROCOPY && a->ee_code == b->ee_code &&
	       a->ee_data + 1 == b->ee_info && MECHANISM(zerocopy_coalesce);
}

/* Nobody refers to the bytes any more. */
static void complete(struct sock *s, struct sock_err *err) REQUIRES(lc_sock)
{
	struct sock_errs *errs = s->errs;

	if (errs->newest == err)
		errs->newest = NULL;
	if (sock_gone(s) != 0) {
		sock_err_free(s, err); /* nobody will ask */
	} else if (errs->tail && may_join(errs->tail, err)) {
		errs->tail->ctl.ee.ee_data = err->ctl.ee.ee_data;
		sock_err_free(s, err);
		sock_err_tell(s);
	} else {
		sock_err_push(s, err);
	}
}

static void put_entry(struct sock *s, struct sock_err *err) REQUIRES(lc_sock)
{
	WEFT_ASSERT(err->refs > 0);
	if (--err->refs == 0)
		complete(s, err);
}

/* A buffer's last reference has gone (Z1). */
static void released(struct buf_owner *owner)
{
	struct sock_err *err = CONTAINER_OF(owner, struct sock_err, owner);
	struct sock *s = err->sock;

	sock_lock(s);
	put_entry(s, err);
	if (--s->errs->pinned == 0)
		cond_broadcast(&s->errs->unpinned);
	sock_unlock(s);
	sock_put(&s);
}

/* ---- Calls. ---- */

int zerocopy_begin(struct sock *s, struct zerocopy *z)
{
	struct sock_err *err = sock_err_new(s, 0);

	*z = (struct zerocopy){.sock = s, .entry = err};
	if (!err)
		return -ENOBUFS;
	err->refs = 1;
	err->owner.released = released;
	err->ctl.ee.ee_origin = SO_EE_ORIGIN_ZEROCOPY;
	return 0;
}

/* The call's next 'size' bytes are queued: with the first ones it gets its number (Z2). */
static void count(struct zerocopy *z, uint32_t size) REQUIRES(lc_sock)
{
	struct sock *s = z->sock;
	struct sock_errs *errs = s->errs;
	struct sock_err *newest = errs->newest;

	if (!z->has_number && newest && newest->bytes + size < ZEROCOPY_JOIN_MAX &&
	    MECHANISM(zerocopy_join)) {
		newest->refs++;
		newest->ctl.ee.ee_data = errs->next_send++;
		sock_err_free(s, z->entry);
		z->entry = newest;
	} else if (!z->has_number) {
		z->entry->ctl.ee.ee_info = z->entry->ctl.ee.ee_data = errs->next_send++;
		errs->newest = z->entry;
	}
	z->has_number = true;
	z->entry->bytes += size;
}

bool zerocopy_send(struct zerocopy *z, const uint8_t *data, uint32_t size, unsigned *events)
{
	struct sock *s = z->sock;
	struct buf_queue q = {0};

	if (!MECHANISM(zerocopy_send))
		return false;
	struct buf *b = buf_new_foreign(s->conn.stack->pool, data, size, &z->entry->owner);

	if (!b)
		return false;
	count(z, size);
	b->owner = &z->entry->owner; /* the call may have joined the one before */
	sock_get(s);
	z->entry->refs++;
	s->errs->pinned++;
	buf_queue_push(&q, b);
	tcp_send(&s->tcb, &q, events);
	return true;
}

void zerocopy_copied(struct zerocopy *z, uint32_t size)
{
	count(z, size);
	z->entry->ctl.ee.ee_code = SO_EE_CODE_ZEROCOPY_COPIED;
}

void zerocopy_end(struct zerocopy *z)
{
	if (z->has_number)
		put_entry(z->sock, z->entry);
	else
		sock_err_free(z->sock, z->entry);
	z->entry = NULL;
}

void zerocopy_note(struct sock *s, uint32_t size)
{
	struct zerocopy z;

	sock_lock(s);
	if (s->opt.zerocopy && zerocopy_begin(s, &z) == 0) {
		zerocopy_copied(&z, size);
		zerocopy_end(&z);
	} else if (s->opt.zerocopy && s->has_errs) {
		s->errs->next_send++; /* it has a number, and no room to say so */
	}
	sock_unlock(s);
}

void zerocopy_abandon(const struct zerocopy *z)
{
	struct zerocopy left = *z;

	thread_unwinding();
	sock_lock(left.sock);
	zerocopy_end(&left);
	sock_unlock(left.sock);
	zerocopy_settle(left.sock);
}

/* ---- Settling. ---- */

/* Copies the buffer's bytes behind 'q'; false: no memory for all of them. */
static bool copy_out(struct stack *stack, const struct buf *b, struct buf_queue *q)
{
	uint32_t done = 0;

	while (done < b->len) {
		uint32_t part = b->len - done < COPY_SIZE ? b->len - done : COPY_SIZE;
		struct buf *copy = buf_new(stack->pool, part);

		if (!copy)
			return false;
		memcpy(copy->data, b->data + done, part);
		copy->len = part;
		buf_queue_push(q, copy);
		done += part;
	}
	return true;
}

/* The send queue with copies in the place of what it refers to; false: without memory some are left. */
static bool copy_queue(struct sock *s) REQUIRES(lc_sock)
{
	struct buf_queue old = tcp_send_take(&s->tcb), now = {0};
	bool has_memory = true;
	struct buf *b;

	while ((b = buf_queue_pop(&old))) {
		struct buf_queue copies = {0};

		if (!buf_is_foreign(b) || !has_memory) {
			buf_queue_push(&now, b);
			continue;
		}
		has_memory = copy_out(s->conn.stack, b, &copies);
		CONTAINER_OF(b->owner, struct sock_err, owner)->ctl.ee.ee_code =
			SO_EE_CODE_ZEROCOPY_COPIED;
		buf_queue_push(has_memory ? &s->tcb.trash : &now, b);
		buf_queue_join(has_memory ? &now : &s->tcb.trash, &copies);
	}
	tcp_send_put(&s->tcb, &now);
	return has_memory;
}

/* Writes end by themselves: nobody cancels the wait. */
static NO_TSA void wait_unpinned(struct sock *s)
{
	int cancel = thread_cancel_off();

	while (s->errs->pinned > 0)
		stack_wait(s->conn.stack, &s->errs->unpinned, &s->mu, WEFT_TIME_NEVER);
	thread_cancel_restore(cancel);
}

void zerocopy_settle(struct sock *s)
{
	unsigned events = 0;

	sock_lock(s);
	bool is_due = s->has_errs && s->errs->pinned > 0 && MECHANISM(zerocopy_settle);

	if (is_due && !copy_queue(s)) {
		tcp_abort(&s->tcb, ENOBUFS, &events);
		sock_events_quiet(s, events, stack_now(s->conn.stack));
	}
	sock_unlock(s); /* what was replaced is put */
	if (!is_due)
		return;
	sock_send_out(s);
	sock_lock(s);
	wait_unpinned(s);
	sock_unlock(s);
}
