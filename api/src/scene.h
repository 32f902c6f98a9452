/*
 * What a call of weft/netdb.h works with: the names of a stack and its addresses, or, without a stack, the
 * hosts file alone.  Any thread.  The call may block as it likes: closing the stack waits for it.
 */
#ifndef WEFT_API_SCENE_H
#define WEFT_API_SCENE_H

#include "api/names/names.h"
#include "api/names/order.h"
#include "net/base/check.h"

enum { SCENE_ADDRS_MAX = 4 };

struct scene {
	struct names *names;
	bool has_stack;
	struct order_own own[SCENE_ADDRS_MAX];
	unsigned own_count;
	int cancel_state; /* of the thread: a call that was cancelled would never leave */
};

/* 'stack' NULL: the default one, or none.  0; -ENETDOWN in the child of a fork; -ENOMEM. */
int scene_enter(struct scene *scene, struct weft_stack *stack) WARN_UNUSED;
void scene_leave(struct scene *scene);

#endif
