/*
 * Payload buffers.  A buffer is memory with a reference count and a window [data, data + len) on
 * it.  The TCP core queues buffers by their link and never allocates or frees one: what it is done
 * with goes to a trash list that the caller empties (buf_queue_take, then buf_put on each).
 *
 * References: whoever queues a buffer holds one.  A thread that hands the bytes to a system call or
 * copies them without the socket's lock takes one more with buf_get ("pins" them), so that an ACK
 * or another reader may drop the queue's reference in the meantime.  'data' and 'len' belong to the
 * queue (guarded by the socket's lock); a pinner keeps its own copy of both (struct view).  Bytes
 * inside the window never change; bytes behind it (up to buf_room) may be appended.
 */
#ifndef WEFT_BASE_BUF_H
#define WEFT_BASE_BUF_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bufpool;
struct gate;

/* Whose memory a foreign buffer's bytes are. */
struct buf_owner {
	/* The last reference has gone; on the thread that put it. */
	void (*released)(struct buf_owner *owner);
};

struct buf {
	struct buf *next; /* queue link */
	uint8_t *data;    /* first byte of the window */
	uint32_t len;     /* size of the window in bytes */
	uint32_t cap;     /* bytes of 'bytes' */
	uint32_t seq;     /* sequence number of data[0], for the TCP core */
	uint32_t run_end; /* reassembly: see net/tcp/reass.h; valid in the first buffer of a run */
	struct buf *run_last; /* reassembly: last buffer of the run */

	union {
		struct buf *run_next;    /* reassembly: first buffer of the next run */
		struct buf_owner *owner; /* of a foreign buffer; immutable */
	};

	struct bufpool *pool; /* where it goes back to; immutable */
	atomic_uint refs;
	uint32_t class; /* pool's size class, or BUF_FOREIGN; immutable */
	uint8_t bytes[];
};

/* The class of buffers whose bytes are not their own: they have no room behind the window. */
enum { BUF_FOREIGN = UINT8_MAX };

static inline bool buf_is_foreign(const struct buf *b)
{
	return b->class == BUF_FOREIGN;
}

/* A range of bytes of a buffer, borrowed or pinned by whoever holds it. */
struct view {
	struct buf *buf;
	const uint8_t *data;
	uint32_t len;
};

/* A singly linked first-in first-out list of buffers. */
struct buf_queue {
	struct buf *head;
	struct buf *tail;
	uint32_t bytes; /* sum of the windows */
	uint32_t mem;   /* sum of the capacities: what the queue really costs */
};

static inline struct buf *buf_get(struct buf *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

/* Bytes that may still be appended behind the window. */
static inline uint32_t buf_room(const struct buf *b)
{
	return buf_is_foreign(b) ? 0 : b->cap - (uint32_t)(b->data - b->bytes) - b->len;
}

/* Appends 'b', taking the caller's reference. */
void buf_queue_push(struct buf_queue *q, struct buf *b);

/* Removes the first buffer, giving its reference to the caller; NULL when empty. */
struct buf *buf_queue_pop(struct buf_queue *q);

/* Moves all of 'from' behind 'to'. */
void buf_queue_join(struct buf_queue *to, struct buf_queue *from);

/* ---- The pool: thread-safe, with a limit on the memory in use. ---- */

/* Makes a pool that lends at most 'limit_bytes' at a time.  NULL when out of memory. */
struct bufpool *bufpool_new(size_t limit_bytes);

/* Frees the pool (NULL: nothing).  Every buffer must be back. */
void bufpool_free(struct bufpool *pool);

/*
 * A buffer with room for at least 'size' bytes, an empty window at its start and one reference.
 * NULL when the limit is reached or memory is short.  Never blocks.
 */
struct buf *buf_new(struct bufpool *pool, size_t size);

/*
 * A buffer whose window is 'size' bytes of memory that belongs to 'owner', and stay as they are until it
 * is released.  It counts as lent, with no bytes.  NULL: no memory for its head.
 */
struct buf *buf_new_foreign(struct bufpool *pool, const void *data, uint32_t size,
			    struct buf_owner *owner);

/*
 * As buf_new, up to 'count' of them, linked by 'next': how many, which is fewer when the limit or memory
 * does not allow all.  0: '*list' is NULL.  One look at the pool's locks for all.
 */
unsigned buf_new_many(struct bufpool *pool, size_t size, unsigned count, struct buf **list);

/*
 * Drops one reference and clears the caller's pointer; the last one gives the memory back.  A NULL
 * pointer is left alone.  Takes a leaf lock of the pool; of a foreign buffer what its owner takes.
 */
void buf_put(struct buf **b);

/* As buf_put for the buffer of every view, or of the queue, which is empty then: many go back at once. */
void buf_put_views(struct view *views, unsigned count);
void buf_queue_clear(struct buf_queue *q);

/* Buffers lent now (for tests: zero after everything is closed) and bytes lent. */
size_t bufpool_lent(const struct bufpool *pool);
size_t bufpool_lent_bytes(const struct bufpool *pool);

/* Whether a buffer of 'size' bytes would be within the limit now.  Sequentially consistent. */
bool bufpool_has_room(const struct bufpool *pool, size_t size);

/*
 * The gate in front of which threads wait for memory: every buffer that comes back opens it for one,
 * whichever thread gives it.  Who was woken opens it for the next one while there is room.
 */
struct gate *bufpool_gate(struct bufpool *pool);

/* Whether more than three quarters of the limit are lent: a time to grow nothing. */
bool bufpool_is_short(const struct bufpool *pool);

/*
 * For tests: the 'n'th buf_new or buf_new_many from now on, counted over all threads, returns NULL as if memory were
 * short; those after it work again.  0 turns that off, BUFPOOL_FAIL_ALL fails them all.
 */
#define BUFPOOL_FAIL_ALL UINT_MAX
void bufpool_fail_after(struct bufpool *pool, unsigned n);

#endif
