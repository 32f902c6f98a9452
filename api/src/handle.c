/*
 * The handle table; see handle.h.  Called by the functions of weft.h on any thread.
 *
 * Slots live in chunks that are allocated when needed and never moved or freed, so a reader may
 * look at any slot that it can name.  What a reader relies on:
 *  H1  A slot's generation is stored before the socket of that generation is, both with release:
 *      who sees the new socket sees the new generation in its second look.
 *  H2  A socket that a reader found in an RCU section is not freed before the section ends: the
 *      slot's reference ends through call_rcu at the earliest.  It may be dying: proto_tryget tells.
 *  H3  The owner is stored before the socket, and lives as long as one of its sockets is referenced.
 */
#include "api/src/handle.h"

#include "net/base/check.h"

#include "net/base/sync.h"
#include <errno.h>
#include <stdlib.h>

#if defined(WEFT_VALGRIND)
#include <valgrind/helgrind.h>
/* helgrind knows no C11 atomics: it is told not to look at them, and what order they make. */
#define HIDE(memory, size) VALGRIND_HG_DISABLE_CHECKING(memory, size)
#define PUBLISHED(slot)    ANNOTATE_HAPPENS_BEFORE(slot)
#define FOUND(slot)        ANNOTATE_HAPPENS_AFTER(slot)
#else
#define HIDE(memory, size) ((void)(memory))
#define PUBLISHED(slot)    ((void)(slot))
#define FOUND(slot)        ((void)(slot))
#endif

enum {
	CHUNK_BITS = 10,
	CHUNK_SLOTS = 1 << CHUNK_BITS,
	CHUNKS_MAX = HANDLE_SLOTS_MAX / CHUNK_SLOTS,
	GENERATION_MAX = (1 << HANDLE_GENERATION_BITS) - 1,
	NO_SLOT = HANDLE_SLOTS_MAX,
};

static_assert(HANDLE_INDEX_BITS + HANDLE_GENERATION_BITS == 31, "a handle is a positive int");

struct slot {
	_Atomic(struct conn *) conn;          /* NULL: free or reserved */
	_Atomic(struct handle_owner *) owner; /* of 'conn', or of the reservation */
	atomic_uint generation;               /* 1 to GENERATION_MAX */
	/* Guarded by the table's mutex: in the free list, or in the ring of those that name 'conn'. */
	uint32_t next;
};

static _Atomic(struct slot *) chunks[CHUNKS_MAX];

static atomic_bool is_child; /* of a fork */
static struct mutex table_mutex = {PTHREAD_MUTEX_INITIALIZER};
static uint32_t slot_count GUARDED_BY(table_mutex); /* slots ever used */
static uint32_t slot_limit GUARDED_BY(table_mutex) = HANDLE_SLOTS_MAX;
static uint32_t free_head GUARDED_BY(table_mutex) = NO_SLOT;
static uint32_t free_tail GUARDED_BY(table_mutex) = NO_SLOT;
static uint32_t free_count GUARDED_BY(table_mutex);

/* The slot, NULL when no handle with that index was ever given out. */
static struct slot *slot_at(uint32_t index)
{
	struct slot *chunk =
		atomic_load_explicit(&chunks[index >> CHUNK_BITS], memory_order_acquire);

	return chunk ? &chunk[index & (CHUNK_SLOTS - 1)] : NULL;
}

/* The slot of an index that was given out. */
static struct slot *slot_used(uint32_t index)
{
	struct slot *slot = slot_at(index);

	WEFT_ASSERT(slot);
	return slot;
}

static uint32_t handle_index(int handle)
{
	return (uint32_t)handle & (HANDLE_SLOTS_MAX - 1);
}

static unsigned handle_generation(int handle)
{
	return (unsigned)handle >> HANDLE_INDEX_BITS;
}

static void free_list_append(uint32_t index) REQUIRES(table_mutex)
{
	slot_used(index)->next = NO_SLOT;
	if (free_count++ == 0)
		free_head = index;
	else
		slot_used(free_tail)->next = index;
	free_tail = index;
}

static uint32_t free_list_pop(void) REQUIRES(table_mutex)
{
	uint32_t index = free_head;

	free_head = slot_used(index)->next;
	free_count--;
	return index;
}

/* A slot that was never used; NO_SLOT when there is no memory for it. */
static uint32_t slot_fresh(void) REQUIRES(table_mutex)
{
	uint32_t number = slot_count >> CHUNK_BITS;

	if ((slot_count & (CHUNK_SLOTS - 1)) == 0 && !slot_at(slot_count)) {
		struct slot *chunk = calloc(CHUNK_SLOTS, sizeof(*chunk));
		if (!chunk)
			return NO_SLOT;
		for (uint32_t i = 0; i < CHUNK_SLOTS; i++)
			atomic_init(&chunk[i].generation, 1);
		HIDE(chunk, CHUNK_SLOTS * sizeof(*chunk));
		HIDE(&chunks[number], sizeof(chunks[number]));
		atomic_store_explicit(&chunks[number], chunk, memory_order_release);
	}
	return slot_count++;
}

/* A slot for a new handle, or -EMFILE, -ENOMEM. */
static int slot_alloc(void) REQUIRES(table_mutex)
{
	bool may_grow = slot_count < slot_limit;

	if (may_grow && free_count < HANDLE_FREE_MIN) {
		uint32_t index = slot_fresh();
		if (index != NO_SLOT)
			return (int)index;
	}
	/* Slots beyond a limit that was lowered stay in use until they are closed. */
	if (free_count == 0 || slot_count - free_count >= slot_limit)
		return may_grow ? -ENOMEM : -EMFILE;
	return (int)free_list_pop();
}

int handle_reserve(struct handle_owner *owner)
{
	int handle = -ESHUTDOWN;

	mutex_lock(&table_mutex);
	if (!owner->closed)
		handle = slot_alloc();
	if (handle >= 0) {
		struct slot *slot = slot_at((uint32_t)handle);
		atomic_store_explicit(&slot->owner, owner, memory_order_release);
		handle |= (int)(atomic_load_explicit(&slot->generation, memory_order_relaxed)
				<< HANDLE_INDEX_BITS);
	}
	mutex_unlock(&table_mutex);
	return handle;
}

void handle_cancel(int handle)
{
	uint32_t index = handle_index(handle);
	struct slot *slot = slot_at(index);

	mutex_lock(&table_mutex);
	WEFT_ASSERT(!atomic_load_explicit(&slot->conn, memory_order_relaxed));
	atomic_store_explicit(&slot->owner, NULL, memory_order_relaxed);
	/* Nobody ever saw this handle: in front of the list, with the same generation. */
	slot->next = free_count ? free_head : NO_SLOT;
	if (free_count++ == 0)
		free_tail = index;
	free_head = index;
	mutex_unlock(&table_mutex);
}

int handle_install(int handle, struct conn **conn)
{
	struct slot *slot = slot_at(handle_index(handle));
	int rc = -ESHUTDOWN;

	mutex_lock(&table_mutex);
	struct handle_owner *owner = atomic_load_explicit(&slot->owner, memory_order_relaxed);
	if (!owner->closed) {
		atomic_fetch_add_explicit(&owner->live, 1, memory_order_relaxed);
		slot->next = handle_index(handle);
		PUBLISHED(slot);
		atomic_store_explicit(&slot->conn, *conn, memory_order_release);
		*conn = NULL;
		rc = 0;
	}
	mutex_unlock(&table_mutex);
	return rc;
}

/* Whether 'handle' is of the slot's present generation. */
static bool is_current(const struct slot *slot, int handle)
{
	return atomic_load_explicit(&slot->generation, memory_order_acquire) ==
	       handle_generation(handle);
}

struct conn *handle_get(int handle, struct handle_owner **owner)
{
	struct slot *slot = handle < 0 || handle_is_child() ? NULL : slot_at(handle_index(handle));

	if (!slot || !is_current(slot, handle))
		return NULL;
	stack_rcu_read_lock();
	struct conn *conn = atomic_load_explicit(&slot->conn, memory_order_acquire);
	FOUND(slot);
	if (conn && !proto_tryget(conn))
		conn = NULL;
	stack_rcu_read_unlock();
	if (!conn)
		return NULL;
	struct handle_owner *found = atomic_load_explicit(&slot->owner, memory_order_acquire);
	/* H1: of a later generation?  Then the socket (and perhaps the owner) is not the one asked for. */
	if (!is_current(slot, handle)) {
		proto_put(&conn);
		return NULL;
	}
	if (owner)
		*owner = found;
	return conn;
}

int handle_get_sock(int handle, struct handle_owner **owner, struct conn **conn)
{
	*conn = handle_get(handle, owner);
	if (!*conn)
		return -EBADF;
	if (proto_of(*conn)->type != 0)
		return 0;
	proto_put(conn);
	return -ENOTSOCK;
}

/* Takes the slot out of its ring; true when it was alone there. */
static bool leave_ring(struct slot *slot, uint32_t index) REQUIRES(table_mutex)
{
	uint32_t at = index;

	while (slot_used(at)->next != index)
		at = slot_used(at)->next;
	slot_used(at)->next = slot->next;
	return at == index;
}

/* The slot names what 'source' names, in its ring; the caller's reference becomes the slot's. */
static void join_ring(struct slot *slot, uint32_t index, struct slot *source, struct conn *conn)
	REQUIRES(table_mutex)
{
	slot->next = source->next;
	source->next = index;
	PUBLISHED(slot);
	atomic_store_explicit(&slot->conn, conn, memory_order_release);
}

/* The slot of a handle that names something; NULL: it is none. */
static struct slot *slot_current(int handle) REQUIRES(table_mutex)
{
	struct slot *slot = handle < 0 ? NULL : slot_at(handle_index(handle));

	if (!slot || !is_current(slot, handle) ||
	    !atomic_load_explicit(&slot->conn, memory_order_relaxed))
		return NULL;
	return slot;
}

int handle_link(int handle, int source)
{
	struct slot *slot = slot_used(handle_index(handle));
	int rc = -EBADF;

	mutex_lock(&table_mutex);
	struct handle_owner *owner = atomic_load_explicit(&slot->owner, memory_order_relaxed);
	struct slot *from = slot_current(source);

	if (from && owner->closed)
		rc = -ESHUTDOWN;
	else if (from)
		rc = 0;
	if (rc == 0) {
		struct conn *conn = atomic_load_explicit(&from->conn, memory_order_relaxed);

		atomic_fetch_add_explicit(&owner->live, 1, memory_order_relaxed);
		join_ring(slot, handle_index(handle), from, proto_get(conn));
	}
	mutex_unlock(&table_mutex);
	return rc;
}

int handle_replace(int handle, int source, struct conn **old, bool *is_last)
{
	int rc = -EBADF;

	*old = NULL;
	*is_last = false;
	mutex_lock(&table_mutex);
	struct slot *slot = slot_current(handle);
	struct slot *from = slot_current(source);

	if (slot && from)
		rc = atomic_load_explicit(&slot->owner, memory_order_relaxed) ==
				     atomic_load_explicit(&from->owner, memory_order_relaxed)
			     ? 0
			     : -EINVAL;
	struct conn *conn =
		rc == 0 ? atomic_load_explicit(&from->conn, memory_order_relaxed) : NULL;
	struct conn *was = rc == 0 ? atomic_load_explicit(&slot->conn, memory_order_relaxed) : NULL;

	if (conn != was) {
		*is_last = leave_ring(slot, handle_index(handle));
		*old = was;
		join_ring(slot, handle_index(handle), from, proto_get(conn));
	}
	mutex_unlock(&table_mutex);
	return rc;
}

/* Ends the slot's handle: empties the slot and gives its reference to the caller. */
static struct conn *slot_take(struct slot *slot, uint32_t index, bool *is_last)
	REQUIRES(table_mutex)
{
	struct conn *conn = atomic_load_explicit(&slot->conn, memory_order_relaxed);
	struct handle_owner *owner = atomic_load_explicit(&slot->owner, memory_order_relaxed);
	unsigned generation = atomic_load_explicit(&slot->generation, memory_order_relaxed);

	*is_last = leave_ring(slot, index);
	/* The socket goes first: then no reader can pair the old socket with the new generation. */
	atomic_store_explicit(&slot->conn, NULL, memory_order_release);
	atomic_store_explicit(&slot->generation, generation == GENERATION_MAX ? 1 : generation + 1,
			      memory_order_release);
	atomic_store_explicit(&slot->owner, NULL, memory_order_release);
	atomic_fetch_sub_explicit(&owner->live, 1, memory_order_relaxed);
	free_list_append(index);
	return conn;
}

struct conn *handle_take(int handle, bool *is_last)
{
	uint32_t index = handle_index(handle);
	struct conn *conn = NULL;

	mutex_lock(&table_mutex);
	struct slot *slot = slot_current(handle);

	if (slot)
		conn = slot_take(slot, index, is_last);
	mutex_unlock(&table_mutex);
	return conn;
}

void handle_owner_close(struct handle_owner *owner)
{
	mutex_lock(&table_mutex);
	owner->closed = true;
	mutex_unlock(&table_mutex);
}

struct conn *handle_take_next(struct handle_owner *owner, uint32_t *index)
{
	struct conn *conn = NULL;
	bool is_last;

	mutex_lock(&table_mutex);
	for (; !conn && *index < slot_count; ++*index) {
		struct slot *slot = slot_at(*index);
		if (atomic_load_explicit(&slot->owner, memory_order_relaxed) == owner &&
		    atomic_load_explicit(&slot->conn, memory_order_relaxed))
			conn = slot_take(slot, *index, &is_last);
	}
	mutex_unlock(&table_mutex);
	return conn;
}

uint32_t handle_set_limit(uint32_t limit)
{
	WEFT_ASSERT(limit <= HANDLE_SLOTS_MAX);
	mutex_lock(&table_mutex);
	uint32_t old = slot_limit;
	slot_limit = limit;
	mutex_unlock(&table_mutex);
	return old;
}

uint32_t handle_in_use(void)
{
	mutex_lock(&table_mutex);
	uint32_t count = slot_count - free_count;
	mutex_unlock(&table_mutex);
	return count;
}

/* ---- After a fork. ---- */

void handle_fork_child(void)
{
	atomic_store_explicit(&is_child, true, memory_order_relaxed);
}

bool handle_is_child(void)
{
	return atomic_load_explicit(&is_child, memory_order_relaxed);
}

bool handle_forget(int handle)
{
	struct slot *slot = handle < 0 ? NULL : slot_at(handle_index(handle));

	return slot && is_current(slot, handle) &&
	       atomic_exchange_explicit(&slot->conn, NULL, memory_order_relaxed);
}
