/*
 * A device that failed for good, for those who watch sockets or come late, found by a leader alone, and
 * while its stack is closed.  What blocked calls hear is lead_test.c's.
 */
#include "epoll.h"
#include "frail.h"

static struct frail frail;
static struct kit kit;

static void open_both(bool plain_rx)
{
	struct weft_config config = kit_config();
	struct weft_dev *ends[2];

	CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 1024) == 0);
	kit.a = frail_open(&frail, ends[0], plain_rx);
	config.dev = ends[1];
	config.addr = KIT_B4 "/24";
	kit.b = weft_stack_open(&config, NULL, 0);
	CU_ASSERT_FATAL(kit.b != NULL);
}

static int udp_of(struct weft_stack *stack)
{
	int fd = weft_socket(stack, AF_INET, SOCK_DGRAM, 0);

	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

static void close_both(int there)
{
	weft_stack_close(kit.a);
	if (there >= 0)
		kit_reset(there);
	weft_stack_close(kit.b);
}

/* Sets tell of a connection, a listener, and datagram sockets with and without a peer. */
static void check_watched(bool plain_rx)
{
	int fds[2];

	open_both(plain_rx);
	kit_join(&kit, fds);
	int listener = kit_listener(kit.a, KIT_A4, 81, 5);
	int udp = udp_of(kit.a), connected = udp_of(kit.a);
	int conn_set = new_set(kit.a), listener_set = new_set(kit.a);
	int udp_set = new_set(kit.a), connected_set = new_set(kit.a);

	GIVES(kit_connect(connected, KIT_B4, 7), 0);
	add(conn_set, fds[0], EPOLLIN | EPOLLRDHUP);
	add(listener_set, listener, EPOLLIN);
	add(udp_set, udp, EPOLLIN);
	add(connected_set, connected, EPOLLIN);
	GIVES(weft_write(fds[1], "last", 4), 4);
	await_bytes(fds[0], 4);
	frail_break(&frail);
	SAYS(connected_set, connected, EPOLLERR);
	SAYS(udp_set, udp, EPOLLERR);
	SAYS(listener_set, listener, EPOLLERR | EPOLLHUP);
	SAYS(conn_set, fds[0], EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP);
	/* What came before is there, and the error behind it. */
	take(fds[0], 4);
	REFUSED(weft_write(fds[0], "x", 1), ENODEV);
	REFUSED(weft_write(fds[0], "x", 1), EPIPE);
	GIVES(kit_get(udp, SOL_SOCKET, SO_ERROR), ENODEV);
	REFUSED(weft_write(connected, "x", 1), ENODEV);
	CU_ASSERT_EQUAL(count_of(kit.a, C_DEV_FAILED), 1);
	close_both(fds[1]);
}

static void test_watched(void)
{
	check_watched(false);
	check_watched(true);
}

/* Who comes late is refused, too; the socket can still be used within the stack. */
static void test_late(void)
{
	struct kit_call accept;

	open_both(false);
	int listener = kit_listener(kit.a, KIT_A4, 81, 5), fd = kit_socket(kit.a, AF_INET);

	kit_set_timeout(listener, SO_RCVTIMEO, 5000);
	kit_call_start(&accept, listener, kit_run_accept);
	frail_break(&frail);
	kit_call_join(&accept);
	CU_ASSERT(accept.rc == -1 && accept.error == ENODEV);
	REFUSED(kit_connect(fd, KIT_B4, 80), ENODEV);
	REFUSED(kit_connect(fd, KIT_B4, 80), ENODEV);
	REFUSED(weft_listen(fd, 5), ENODEV);
	GIVES(kit_get(fd, SOL_SOCKET, SO_ERROR), 0);
	close_both(-1);
}

/* A leader that finds out has the RX thread find out, which slept. */
static void test_leader_finds_out(void)
{
	struct kit_call recv;
	int fds[2];

	open_both(false);
	kit_join(&kit, fds);
	kit_set_timeout(fds[0], SO_RCVTIMEO, 5000);
	kit_call_start(&recv, fds[0], kit_run_recv);
	atomic_store(&frail.is_broken, true);
	frail_wake_leader(&frail.dev);
	kit_call_join(&recv);
	CU_ASSERT(recv.rc == -1 && recv.error == ENODEV);
	close_both(fds[1]);
}

/* The walk over the sockets and closing the stack at the same time, and sockets made meanwhile. */
static void test_stop_meanwhile(void)
{
	enum { CONNS = 10, TRIALS = 6 };

	for (int trial = 0; trial < TRIALS; trial++) {
		int fds[CONNS][2];

		open_both(trial % 2);
		for (int i = 0; i < CONNS; i++)
			kit_join(&kit, fds[i]);
		frail_break(&frail);
		for (int i = 0; i < CONNS; i++) {
			(void)weft_close(kit_socket(kit.a, AF_INET));
			(void)weft_close(udp_of(kit.a));
		}
		weft_stack_close(kit.a);
		weft_stack_close(kit.b);
	}
}

UNIT_MAIN("dev_gone", UNIT(watched), UNIT(late), UNIT(leader_finds_out), UNIT(stop_meanwhile))
