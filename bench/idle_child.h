/*
 * idle_child.h - client processes with kernel sockets, for the programs about many connections: a
 * process may have 20,000 descriptors only, so there are several.  The parent sends a command over a
 * socket pair and collects the answer later; so all children work at the same time.
 *
 * Children are forked before the parent has threads, and end with it: their end of the pair closes.
 */
#ifndef BENCH_IDLE_CHILD_H
#define BENCH_IDLE_CHILD_H

#include "idle_util.h"

#include <netinet/in.h>
#include <sys/types.h>

enum { CHILD_CONNS_MAX = 15000, CHILD_MESSAGE = 64 };

struct child {
	pid_t pid;
	int fd; /* the parent's end of the pair */
};

/* Where child connections go: connection 'index' to port 'port' + index % 'ports'. */
struct child_target {
	struct in_addr addr;
	uint16_t port;
	uint16_t ports;
};

/* Forks a client process.  0, or -errno. */
int child_start(struct child *child);

/* Commands; 0, or -1 when the child is gone. */

/* Opens 'count' more connections, 'first' being the index of the first. */
int child_open(const struct child *child, const struct child_target *to, uint32_t first,
	       uint32_t count);
/* Messages of a round on 'count' connections, by their indexes; and their echoes. */
int child_send(const struct child *child, const uint32_t *indexes, uint32_t count, uint64_t seed);
int child_receive(const struct child *child, const uint32_t *indexes, uint32_t count,
		  uint64_t seed);
/* One byte there and back 'count' times on the connection 'index'. */
int child_ping(const struct child *child, uint32_t index, uint32_t count);
/* One byte on every connection but 'index'. */
int child_byte(const struct child *child, uint32_t index);
int child_close(const struct child *child);

/*
 * Answers: 0 or the errno value that the child met; -1 when the child is gone.  'times': of opens or
 * pings; may be NULL, as 'ports' of the connections that were opened.
 */
int child_answer(const struct child *child, struct hist *times, uint16_t *ports, uint32_t count);

/* The message of a connection. */
void child_message(uint64_t seed, uint32_t index, uint8_t *message);

/* Lets the child end and waits for it. */
void child_end(struct child *child);

#endif
