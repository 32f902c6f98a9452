/*
 * udp_echo.c - a UDP echo server (RFC 862) that answers from the address it was asked at, and keeps the
 * TOS of what came.  Needs the right to make a TUN interface; try it with: nc -u 192.0.2.2 7
 *
 *	udp_echo [TUN_NAME]: with a name, serves there; the interface's addresses are 192.0.2.0/24 and
 *	2001:db8::/64
 *
 * weft's calls are not interrupted by signals, but closing the socket ends them: a thread waits for SIGINT
 * and SIGTERM, and closes it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <weft/weft.h>

/* A socket for both IP versions that tells where each message came to. */
static int open_echo(struct weft_stack *stack)
{
	const struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
	int on = 1;
	int fd = weft_socket(stack, AF_INET6, SOCK_DGRAM, 0);

	if (fd < 0 || weft_bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0 ||
	    weft_setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ||
	    weft_setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0 ||
	    weft_setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)) < 0 ||
	    weft_setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on)) < 0)
		return -1;
	return fd;
}

static sigset_t stop_signals;

static void *close_on_signal(void *arg)
{
	int number;

	if (sigwait(&stop_signals, &number) == 0)
		weft_close(*(const int *)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	static char bytes[65536];
	_Alignas(struct cmsghdr) char control[256];
	pthread_t thread;
	char why[256];

	if (argc > 2 || (argc > 1 && argv[1][0] == '-')) {
		fprintf(stderr, "usage: udp_echo [TUN_NAME]\n");
		return 2;
	}
	/* Before the first thread, for all inherit it: only sigwait takes these signals. */
	(void)sigemptyset(&stop_signals);
	(void)sigaddset(&stop_signals, SIGINT);
	(void)sigaddset(&stop_signals, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &stop_signals, NULL);
	config.tun_name = argc > 1 ? argv[1] : NULL;
	config.addr = "192.0.2.2/24";
	config.peer = "192.0.2.1";
	config.addr6 = "2001:db8::2/64";
	config.peer6 = "2001:db8::1";
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));
	if (!stack) {
		fprintf(stderr, "udp_echo: %s\n", why);
		return 1;
	}
	int fd = open_echo(stack);
	if (fd < 0 || pthread_create(&thread, NULL, close_on_signal, &fd) != 0) {
		perror("udp_echo: socket");
		return 1;
	}
	for (;;) {
		struct sockaddr_in6 from;
		struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
		struct msghdr msg = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t size = weft_recvmsg(fd, &msg, 0);

		if (size < 0)
			break; /* EBADF: a signal came */
		/* What recvmsg told of destination and TOS is what sendmsg takes for source and TOS. */
		iov.iov_len = (size_t)size;
		if (weft_sendmsg(fd, &msg, 0) < 0)
			perror("udp_echo: send");
	}
	if (errno != EBADF) {
		perror("udp_echo: receive");
		return 1;
	}
	(void)pthread_join(thread, NULL);
	weft_stack_close(stack);
	return 0;
}
