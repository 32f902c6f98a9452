/*
 * Handles: the ints by which a program names its sockets.  One table for the whole process.
 *
 * A handle is a slot's index (21 bits) and the slot's generation (10 bits, never 0), so it is
 * positive and never small enough to be taken for a descriptor of the kernel.  Every close gives
 * the slot a new generation.  Free slots wait in a first-in first-out list and are used again only
 * when HANDLE_FREE_MIN of them wait there or the table is at its limit: before a stale handle can
 * mean something else, about a million handles have to be closed.
 *
 * Looking up takes no lock: an RCU section with a load of the slot, proto_tryget and a second look
 * at the generation.  Making and ending handles takes one mutex, a leaf.
 *
 * Several handles may name one object (dup): their slots form a ring, so that who ends one knows whether
 * it was the last.
 */
#ifndef WEFT_API_HANDLE_H
#define WEFT_API_HANDLE_H

#include "net/base/check.h"
#include "net/base/sync.h"
#include "net/stack/proto.h"
#include <stdatomic.h>

enum {
	HANDLE_INDEX_BITS = 21,
	HANDLE_GENERATION_BITS = 10,
	HANDLE_SLOTS_MAX = 1 << HANDLE_INDEX_BITS,
	HANDLE_FREE_MIN = 1024,
};

/* Who opens handles: a stack.  Must outlive its handles and every handle_reserve in progress. */
struct handle_owner {
	bool closed;      /* no more handles; guarded by the table's mutex */
	atomic_uint live; /* handles in use */
};

/*
 * Keeps a slot for a handle of 'owner'.  The handle is EBADF to everybody until handle_install.
 * -EMFILE at the limit, -ENOMEM, -ESHUTDOWN when the owner is closed.
 */
int handle_reserve(struct handle_owner *owner) WARN_UNUSED;

/* Gives back a handle that was reserved and not installed. */
void handle_cancel(int handle);

/*
 * Makes the reserved handle mean '*conn'.  Takes the caller's reference and clears its pointer.
 * -ESHUTDOWN when the owner was closed meanwhile: nothing is taken, handle_cancel is due.
 */
int handle_install(int handle, struct conn **conn) WARN_UNUSED;

/*
 * What the handle names, with a reference for the caller, NULL when there is none.  'owner' (may be
 * NULL) gets the handle's owner, good for as long as the reference is held.  Never blocks.
 */
struct conn *handle_get(int handle, struct handle_owner **owner) WARN_UNUSED;

/* The same for a socket: -EBADF; -ENOTSOCK when the handle names something else. */
int handle_get_sock(int handle, struct handle_owner **owner, struct conn **conn) WARN_UNUSED;

/*
 * Ends the handle and gives its reference to the caller; NULL when it was no (longer a) handle.
 * '*is_last': no other handle names the object.
 */
struct conn *handle_take(int handle, bool *is_last) WARN_UNUSED;

/*
 * Makes the reserved handle mean what 'source' means, with a reference of its own: -EBADF, -ESHUTDOWN as
 * handle_install.
 */
int handle_link(int handle, int source) WARN_UNUSED;

/*
 * Makes 'handle' mean what 'source' means in one step, and gives the reference to what it meant to the
 * caller (NULL: the same).  -EBADF: one of them is no handle; -EINVAL: they are of different owners.
 */
int handle_replace(int handle, int source, struct conn **old, bool *is_last) WARN_UNUSED;

/*
 * In the child of a fork, where locks may be held for ever by threads that are not there: from now on
 * nothing is a handle, but for handle_forget, which ends one without telling anybody.  Takes no lock.
 */
void handle_fork_child(void);
bool handle_is_child(void);
bool handle_forget(int handle);

/* No handle of 'owner' can be reserved or installed from now on. */
void handle_owner_close(struct handle_owner *owner);

/*
 * Ends the next handle of 'owner' at or behind '*index' (start with 0) and gives its reference to
 * the caller; NULL behind the last.
 */
struct conn *handle_take_next(struct handle_owner *owner, uint32_t *index) WARN_UNUSED;

/* For tests: the largest number of slots, at most HANDLE_SLOTS_MAX; returns the old limit. */
uint32_t handle_set_limit(uint32_t limit);

/* For tests: slots that are reserved or in use. */
uint32_t handle_in_use(void);

/*
 * The reference of a call that may wait: it goes also when the thread is cancelled there.  Calls put it
 * themselves before they set errno.
 */
#define CONN_REF CLEANUP(handle_end_ref)

static inline void handle_end_ref(struct conn **conn)
{
	if (*conn)
		proto_put(conn);
}

#endif
