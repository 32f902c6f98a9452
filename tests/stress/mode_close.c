/*
 * close: one thread closes sockets while others are in recv, send, accept and connect on them.  All
 * of those end with EBADF.
 */
#include "blocked.h"

#include <sched.h>

/* A connection whose far end neither reads nor writes. */
static bool join(struct stress *stress, int listener, int fds[2])
{
	fds[0] = stress_connect(stress);
	fds[1] = fds[0] < 0 ? -1 : weft_accept(listener, NULL, NULL);
	if (fds[1] < 0)
		FAIL(stress, "join");
	return fds[1] >= 0;
}

static void round_of_closes(struct stress *stress, struct prng *prng)
{
	int listener = stress_listen(stress, 16);
	struct blocked blocked[BLOCKED_COUNT];
	int readers[2];
	int writers[2];

	if (!join(stress, listener, readers) || !join(stress, listener, writers))
		exit(2);
	const int fds[BLOCKED_COUNT] = {readers[0], writers[0], listener,
					weft_socket(stress->client, AF_INET, SOCK_STREAM, 0)};
	for (int i = 0; i < BLOCKED_COUNT; i++)
		blocked_start(&blocked[i], stress, (enum blocked_kind)i, fds[i]);
	for (unsigned i = prng_below(prng, 200); i > 0; i--)
		(void)sched_yield();
	for (int i = 0; i < BLOCKED_COUNT; i++)
		if (weft_close(fds[i]) != 0)
			FAIL(stress, "close");
	for (int i = 0; i < BLOCKED_COUNT; i++) {
		blocked_join(&blocked[i]);
		errno = blocked[i].error;
		if (errno != EBADF)
			FAIL(stress, "%s after close", blocked_name((enum blocked_kind)i));
		if (weft_close(fds[i]) == 0)
			FAIL(stress, "second close");
	}
	(void)weft_close(readers[1]);
	(void)weft_close(writers[1]);
}

void mode_close(struct stress *stress)
{
	struct prng prng;

	prng_init(&prng, stress->seed);
	for (unsigned round = 0; stress_more(stress, round); round++)
		round_of_closes(stress, &prng);
}
