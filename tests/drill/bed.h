/*
 * A stack on virtual time whose threads run one at a time.
 *
 * The stack under test is the whole library with its RX and TX threads, and calls that block do so in
 * threads of their own.  Each of these threads sleeps at two doors only, which the bed gives to the
 * stack: the clock's wait and the device's read.  There it parks, and goes on when the bed hands it
 * the turn; so at most one thread runs, and the order is the same in each run.  A thread that is
 * handed the turn for nothing finds its condition false and parks again, which struct weft_clock
 * allows ("for no reason").  The stack is quiet when two rounds of turns changed nothing; only then
 * does the bed move the clock.
 *
 * All functions are the driving thread's.
 */
#ifndef WEFT_DRILL_BED_H
#define WEFT_DRILL_BED_H

#include "net/base/time.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <weft/weft.h>

struct bed;

/* A packet that the stack wrote. */
struct bed_packet {
	struct bed_packet *next;
	weft_time_us at; /* virtual time of the write */
	size_t len;
	uint8_t data[];
};

/* A call into the API that may block: run in a thread of the bed's. */
struct bed_call {
	void (*run)(struct bed_call *call); /* on the bed's thread */
	bool is_done;
	weft_time_us done_at;
};

/*
 * Opens a stack as 'config' says on a device of 'mtu' bytes; dev and clock are set here.  NULL with a
 * line in 'why'.
 */
struct bed *bed_open(struct weft_config *config, uint32_t mtu, char *why, size_t why_size);

/* Closes the stack; calls that still block come back with ESHUTDOWN before this returns. */
void bed_close(struct bed *bed);

struct weft_stack *bed_stack(struct bed *bed);
weft_time_us bed_now(const struct bed *bed);

/* Lets the stack read the packet (at the next bed_settle). */
void bed_inject(struct bed *bed, const void *data, size_t len);

/* Begins the call (at the next bed_settle).  'call' stays until it is done or the bed closed. */
void bed_call(struct bed *bed, struct bed_call *call);

/* Runs all threads until the stack is quiet; false when it does not become quiet. */
bool bed_settle(struct bed *bed);

/*
 * Moves the clock to the next deadline, 'limit' at most, and settles there.  False when the clock
 * already was at 'limit' or the stack does not become quiet.
 */
bool bed_step(struct bed *bed, weft_time_us limit);

/* The first packet that was not taken yet; NULL when there is none.  The caller frees it. */
struct bed_packet *bed_take(struct bed *bed);
const struct bed_packet *bed_peek(const struct bed *bed);

#endif
