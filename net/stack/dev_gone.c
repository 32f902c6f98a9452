/*
 * The device has failed: see dev_gone.h.
 *
 * No socket is forgotten: stack_dev_is_gone is so before the walk begins, and connect and listen ask it
 * under the socket's lock, which the walk takes, too.
 */
#include "net/stack/dev_gone.h"

#include "net/base/mechanism.h"
#include "net/stack/listener.h"
#include "net/stack/route.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include <errno.h>
#include <sys/socket.h>

/* poll says POLLERR and POLLHUP of it from now on, SO_ERROR ENODEV, and accept ENODEV each time. */
static void end_listener(struct sock *s)
{
	listener_close(listener_of(s), s->conn.stack, -ENODEV);
	(void)sock_shutdown(s, SHUT_RD);
}

static void end_sock(struct sock *s)
{
	weft_time_us now = stack_now(s->conn.stack);
	unsigned events = 0;

	sock_lock(s);
	bool is_listening = s->phase == SOCK_LISTENING;

	if (is_listening)
		s->so_error = ENODEV;
	else if (s->is_linked && s->tcb.cfg &&
		 (!route_is_local(s->conn.stack, &s->conn.flow.remote) ||
		  !MECHANISM(dev_gone_spares_local)))
		tcp_lose_link(&s->tcb, ENODEV, &events);
	sock_events(s, events, now);
	sock_unlock(s);
	if (is_listening)
		end_listener(s);
}

void dev_gone_tell(struct stack *stack)
{
	if (!MECHANISM(dev_gone))
		return;
	stack_visit_socks(stack, end_sock);
	dgrams_fail(stack, ENODEV);
}
