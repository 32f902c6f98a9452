/*
 * What the way to a destination takes: the link's MTU, and the stack's cache of paths that take less
 * (net/ip/pmtu.h, ADR 17).
 *
 * Connections hear of a change when their emitter visits them next: stack->path_changes moves on with
 * every change, and each socket remembers what it was when it looked last.  One whose path takes less
 * than the link looks at every visit, which is how it learns that the entry has grown too old.
 */
#ifndef WEFT_STACK_PATH_H
#define WEFT_STACK_PATH_H

#include "net/base/addr.h"
#include "net/base/time.h"
#include "net/stack/locks.h"

struct stack;

void path_init(struct stack *stack);
void path_fini(struct stack *stack);

/* The MTU of the device that packets to 'dst' leave by. */
uint32_t path_link_mtu(const struct stack *stack, const struct addr *dst);

/* The same less IP and TCP header. */
uint16_t path_link_mss(const struct stack *stack, const struct addr *dst);

/* The path's MTU, as far as is known. */
uint32_t path_mtu(struct stack *stack, const struct addr *dst, weft_time_us now) EXCLUDES(lc_path);

/* A message about the path to 'dst' that was found to be true: everybody's packets shrink. */
void path_lower(struct stack *stack, const struct addr *dst, uint32_t mtu, weft_time_us now)
	EXCLUDES(lc_path);

#endif
