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
	sock_lock(s);
	bool is_listening = s->phase == SOCK_LISTENING;
	bool is_far = !is_listening && s->is_linked &&
		      (!route_is_local(s->conn.stack, &s->conn.flow.remote) ||
		       !MECHANISM(dev_gone_spares_local));

	if (is_listening)
		s->so_error = ENODEV;
	sock_unlock(s);
	if (is_far)
		sock_abort(s, ENODEV);
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
