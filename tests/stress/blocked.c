/*
 * Threads that block in one call each; see blocked.h.  Whether the call has really gone to sleep
 * when somebody ends it is left to chance: both orders are to be tested.
 */
#include "blocked.h"

#include <arpa/inet.h>
#include <sched.h>

static ssize_t call(struct blocked *b)
{
	static const char zeros[STRESS_CHUNK_MAX];
	struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(9)};
	char byte;
	ssize_t rc = -1;

	switch (b->kind) {
	case BLOCKED_RECV:
		return weft_recv(b->fd, &byte, 1, 0);
	case BLOCKED_SEND:
		while ((rc = weft_send(b->fd, zeros, sizeof(zeros), 0)) > 0)
			;
		return rc;
	case BLOCKED_ACCEPT:
		return weft_accept(b->fd, NULL, NULL);
	case BLOCKED_CONNECT:
		nobody.sin_addr.s_addr = htonl(0xc0000263); /* 192.0.2.99 */
		return weft_connect(b->fd, (const struct sockaddr *)(void *)&nobody,
				    sizeof(nobody));
	case BLOCKED_COUNT:
		break;
	}
	return rc;
}

static void *blocked_main(void *arg)
{
	struct blocked *b = arg;

	atomic_store(&b->begun, true);
	ssize_t rc = call(b);
	b->error = rc < 0 ? errno : 0;
	return NULL;
}

void blocked_start(struct blocked *b, struct stress *stress, enum blocked_kind kind, int fd)
{
	*b = (struct blocked){.stress = stress, .kind = kind, .fd = fd};
	if (thread_start(&b->thread, "blocked", blocked_main, b) != 0)
		exit(2);
	while (!atomic_load(&b->begun))
		(void)sched_yield();
}

void blocked_join(struct blocked *b)
{
	thread_join(b->thread);
}

const char *blocked_name(enum blocked_kind kind)
{
	static const char *const names[BLOCKED_COUNT] = {"recv", "send", "accept", "connect"};

	return names[kind];
}
