/*
 * Which addresses are the stack's own and which device a packet takes.  Reads immutable settings
 * only: any thread, no lock.
 */
#ifndef WEFT_STACK_ROUTE_H
#define WEFT_STACK_ROUTE_H

#include "net/base/addr.h"
#include "net/base/drop.h"
#include <stdbool.h>

struct stack;

/* One of the stack's configured addresses. */
bool route_is_own(const struct stack *stack, const struct addr *a);

/* Packets to 'dst' stay inside: an own address or a loopback one. */
bool route_is_local(const struct stack *stack, const struct addr *dst);

/* Where packets to 'a' go: "any" means this host, as on Linux. */
struct addr route_target(const struct addr *a);

/*
 * The source address for a connection to 'dst'.  -ENETUNREACH: no address of its family, or a
 * multicast destination; -EACCES: a broadcast address.
 */
int route_source(const struct stack *stack, const struct addr *dst, struct addr *src);

/* The same for a socket that may send to broadcast addresses (SO_BROADCAST). */
int route_source_broadcast(const struct stack *stack, const struct addr *dst, struct addr *src);

/* Whether a socket may be bound to 'a': own, loopback or any. */
bool route_may_bind(const struct stack *stack, const struct addr *a);

/*
 * Judges the addresses of a packet that came from the device, or from inside when 'is_loop'
 * (RFC 1122 3.2.1.3, RFC 6890): DROP_IP_SRC, DROP_IP_DST or DROP_NONE.
 */
enum drop route_check_in(const struct stack *stack, const struct addr *src, const struct addr *dst,
			 bool is_loop);

#endif
