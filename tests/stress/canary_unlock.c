/*
 * Canary: a thread ends with a mutex of net/base/sync.h still locked, and the mutex is destroyed.
 * TSan and helgrind must report it.
 */
#include "net/base/sync.h"
#include <stddef.h>

static struct mutex mutex;

static void *forget(void *arg) NO_TSA
{
	mutex_lock(&mutex); /* the fault: no unlock */
	return arg;
}

int main(void)
{
	pthread_t thread;

	mutex_init(&mutex);
	if (thread_start(&thread, "canary", forget, NULL) != 0)
		return 2;
	thread_join(thread);
	mutex_fini(&mutex);
	return 0;
}
