/* Threads that block in one call each, for the modes that end sockets and stacks under them. */
#ifndef WEFT_TESTS_STRESS_BLOCKED_H
#define WEFT_TESTS_STRESS_BLOCKED_H

#include "stress.h"

enum blocked_kind { BLOCKED_RECV, BLOCKED_SEND, BLOCKED_ACCEPT, BLOCKED_CONNECT, BLOCKED_COUNT };

struct blocked {
	struct stress *stress;
	enum blocked_kind kind;
	int fd;
	int error; /* what ended the call */
	atomic_bool begun;
	pthread_t thread;
};

/* Starts the thread and waits until it is about to call. */
void blocked_start(struct blocked *b, struct stress *stress, enum blocked_kind kind, int fd);
void blocked_join(struct blocked *b);
const char *blocked_name(enum blocked_kind kind);

#endif
