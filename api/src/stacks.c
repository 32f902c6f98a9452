/*
 * The list of open stacks; see stacks.h.  Called on any thread.  Its mutex is taken first and
 * released before anything else is locked.
 */
#include "api/src/stacks.h"

#include "net/base/sync.h"
#include <errno.h>

static struct mutex list_mutex = {PTHREAD_MUTEX_INITIALIZER};
static struct cond list_left = COND_INITIALIZER; /* 'users' of some stack became 0 */
static struct list stacks GUARDED_BY(list_mutex) = {&stacks, &stacks};

void stacks_add(struct weft_stack *stack)
{
	mutex_lock(&list_mutex);
	list_push(&stacks, &stack->link);
	mutex_unlock(&list_mutex);
}

int stacks_watch_forks(void)
{
	static bool is_done GUARDED_BY(list_mutex);
	int rc = 0;

	if (handle_is_child())
		return -EPERM;
	mutex_lock(&list_mutex);
	if (!is_done)
		rc = thread_at_fork(handle_fork_child);
	is_done = rc == 0;
	mutex_unlock(&list_mutex);
	return rc;
}

struct weft_stack *stacks_enter(struct weft_stack *stack)
{
	if (handle_is_child())
		return NULL;
	mutex_lock(&list_mutex);
	if (!stack && !list_empty(&stacks))
		stack = CONTAINER_OF(stacks.next, struct weft_stack, link);
	if (stack)
		stack->users++;
	mutex_unlock(&list_mutex);
	return stack;
}

void stacks_leave(struct weft_stack *stack)
{
	mutex_lock(&list_mutex);
	WEFT_ASSERT(stack->users > 0);
	if (--stack->users == 0)
		cond_broadcast(&list_left);
	mutex_unlock(&list_mutex);
}

void stacks_remove(struct weft_stack *stack)
{
	mutex_lock(&list_mutex);
	list_del(&stack->link);
	while (stack->users > 0)
		cond_wait(&list_left, &list_mutex);
	mutex_unlock(&list_mutex);
}
