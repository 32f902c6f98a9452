/*
 * The stress program: what its modes share.  Only the public API is under test; threads, locks and
 * random numbers come from net/base.
 */
#ifndef WEFT_TESTS_STRESS_H
#define WEFT_TESTS_STRESS_H

#include "net/base/check.h"
#include "net/base/prng.h"
#include "net/base/sync.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/weft.h>

struct stress {
	struct weft_stack *server; /* NULL in mode stop, which opens its own */
	struct weft_stack *client; /* the same one with --loopback */
	unsigned threads;
	unsigned rounds;       /* per thread */
	weft_time_us deadline; /* WEFT_TIME_NEVER: rounds decide */
	uint64_t seed;
	bool loopback;
	unsigned queues; /* of both stacks; flows move between them */
	int listener;
	int fds[2];
	atomic_uint failures;
};

/* What a thread of a mode does; 'index' is its number, 'prng' its own. */
typedef void (*stress_run)(struct stress *stress, unsigned index, struct prng *prng);

enum { STRESS_PORT = 7, STRESS_CHUNK_MAX = 60000, STRESS_TIMEOUT_S = 60 };

/* Says what is wrong and where; the program fails at its end. */
#define FAIL(stress, ...)                                                                          \
	do {                                                                                       \
		int fail_error = errno;                                                            \
		printf("%s:%d: ", __FILE__, __LINE__);                                             \
		printf(__VA_ARGS__);                                                               \
		printf(" (%s)\n", strerrorname_np(fail_error));                                    \
		atomic_fetch_add(&(stress)->failures, 1);                                          \
	} while (0)

/* Whether 'round' (from 0) is to be done. */
bool stress_more(const struct stress *stress, unsigned round);

/* Opens two stacks on a pair device, or one for loopback; exits when that fails. */
void stress_open(struct stress *stress);

/* Waits until both stacks have given everything back, then closes them. */
void stress_close(struct stress *stress);

struct stress_group {
	struct stress_thread *threads;
	unsigned count;
};

/* Starts 'count' threads; stress_join waits for them. */
void stress_start(struct stress *stress, struct stress_group *group, unsigned count,
		  stress_run run);
void stress_join(struct stress_group *group);

/* A listener of the server; ends the program when there is none. */
int stress_listen(struct stress *stress, int backlog);

/*
 * accept that goes on when its time is up: others may have been faster for a minute.  A connection that
 * nobody accepts is found by its client's timeouts.
 */
int stress_accept(const struct stress *stress);

/* A connection to the listener, or -1. */
int stress_connect(struct stress *stress);

/* All bytes or -1; with a timeout, so that a lost wake-up fails instead of hanging. */
bool stress_send_all(int fd, const void *bytes, size_t size);
bool stress_recv_all(int fd, void *bytes, size_t size);

void stress_fill(struct prng *prng, uint8_t *bytes, size_t size);

/* FNV-1a, continued from 'hash' (start with 0). */
uint64_t stress_hash(uint64_t hash, const uint8_t *bytes, size_t size);

/* The modes. */
void mode_echo(struct stress *stress);
void mode_storm(struct stress *stress);
void mode_close(struct stress *stress);
void mode_stop(struct stress *stress);
void mode_accept(struct stress *stress);
void mode_share(struct stress *stress);
void mode_epoll(struct stress *stress);
void mode_udp(struct stress *stress);
void mode_calls(struct stress *stress);

#endif
