/*
 * Canary: two mutexes of net/base/sync.h are taken in one order by one thread and in the other by
 * another, one after the other, so that nothing hangs.  TSan and helgrind must report the order.
 */
#include "net/base/sync.h"
#include <stddef.h>

static struct mutex first;
static struct mutex second;

static void take_both(struct mutex *a, struct mutex *b) NO_TSA
{
	mutex_lock(a);
	mutex_lock(b);
	mutex_unlock(b);
	mutex_unlock(a);
}

static void *forward(void *arg)
{
	take_both(&first, &second);
	return arg;
}

static void *backward(void *arg)
{
	take_both(&second, &first); /* the fault */
	return arg;
}

int main(void)
{
	pthread_t thread;

	mutex_init(&first);
	mutex_init(&second);
	if (thread_start(&thread, "canary", forward, NULL) != 0)
		return 2;
	thread_join(thread);
	if (thread_start(&thread, "canary", backward, NULL) != 0)
		return 2;
	thread_join(thread);
	mutex_fini(&first);
	mutex_fini(&second);
	return 0;
}
