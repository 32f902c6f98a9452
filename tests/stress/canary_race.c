/*
 * Canary: a member that a mutex of net/base/sync.h guards is changed by two threads, by one of them
 * without the mutex.  TSan and helgrind must report a data race.
 */
#include "net/base/sync.h"
#include <stdio.h>
#include <stdlib.h>

/* As a socket has it, without the annotation that would stop the compiler. */
struct guarded {
	struct mutex mutex;
	int state;
};

static void *change(void *arg)
{
	struct guarded *g = arg;

	for (int i = 0; i < 1000; i++)
		g->state++; /* the fault */
	return NULL;
}

int main(void)
{
	struct guarded *g = calloc(1, sizeof(*g));
	pthread_t thread;

	if (!g)
		return 2;
	mutex_init(&g->mutex);
	if (thread_start(&thread, "canary", change, g) != 0)
		return 2;
	for (int i = 0; i < 1000; i++) {
		mutex_lock(&g->mutex);
		g->state++;
		mutex_unlock(&g->mutex);
	}
	thread_join(thread);
	printf("%d\n", g->state);
	mutex_fini(&g->mutex);
	free(g);
	return 0;
}
