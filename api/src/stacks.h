/*
 * The open stacks of the process: which one is the default, and who is about to use one.
 */
#ifndef WEFT_API_STACKS_H
#define WEFT_API_STACKS_H

#include "api/names/names.h"
#include "api/src/handle.h"
#include "net/base/list.h"
#include "net/stack/stack.h"

struct weft_stack {
	struct stack *stack;       /* immutable */
	struct handle_owner owner; /* of its handles */
	struct names names;        /* locks itself */
	struct list link;          /* open stacks, oldest first; guarded by the list's mutex */
	unsigned users;            /* calls between stacks_enter and stacks_leave; same mutex */
};

/*
 * Before a stack is opened: the child of a fork, which has none of the stack's threads, will know that it
 * is one.  0, -ENOMEM; -EPERM in such a child.
 */
int stacks_watch_forks(void) WARN_UNUSED;

/* Adds an opened stack; it is the default one while no older one is open. */
void stacks_add(struct weft_stack *stack);

/*
 * 'stack', or the default one for NULL, kept open until stacks_leave; NULL when none is open.
 * Between the two nothing may block.
 */
struct weft_stack *stacks_enter(struct weft_stack *stack) WARN_UNUSED;
void stacks_leave(struct weft_stack *stack);

/* Takes a stack out and waits until nobody is between stacks_enter and stacks_leave on it. */
void stacks_remove(struct weft_stack *stack);

#endif
