/*
 * Accurate ECN (RFC 9768) between weft and the kernel, both ways and over both versions of IP.  Then the
 * kernel's queue marks what it sends, where it has fq_codel: weft counts, and the kernel hears of it.  Runs in
 * a namespace with net.ipv4.tcp_ecn=3; see accecn.sh.
 */
#include "check.h"
#include "ends.h"

#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SIZE = 1 << 20,
	PORT_WEFT = 80,
	PORT_KERNEL = 81,
	INFO_SIZE = 232,
	DELIVERED_CE = 196, /* of Linux' struct tcp_info */
};

static char data[SIZE];

/* What the kernel knows of marks on its own packets. */
static unsigned kernel_delivered_ce(int s)
{
	uint8_t info[INFO_SIZE] = {0}; /* libc's struct has the head only */
	socklen_t len = sizeof(info);
	uint32_t marks;

	must(getsockopt(s, IPPROTO_TCP, TCP_INFO, info, &len), "TCP_INFO");
	equal("the kernel's ECN",
	      (info[offsetof(struct tcp_info, tcpi_backoff) + 1] & TCPI_OPT_ECN) != 0, 1);
	memcpy(&marks, info + DELIVERED_CE, sizeof(marks));
	return marks;
}

/* SIZE bytes from the kernel's socket to weft's, in parts that fit the buffers; then some back. */
static unsigned talk(int kernel, int weft)
{
	static char got[1 << 15];

	for (unsigned done = 0; done < SIZE;) {
		must(send(kernel, data + done, sizeof(got), 0), "send");
		for (unsigned part = 0; part < sizeof(got);) {
			ssize_t n = weft_read(weft, got + part, sizeof(got) - part);

			must(n > 0 ? n : -1, "weft_read");
			part += (unsigned)n;
		}
		done += (unsigned)sizeof(got);
	}
	must(weft_write(weft, data, 1000), "weft_write");
	equal("what the kernel read", (unsigned long long)recv(kernel, got, 1000, MSG_WAITALL),
	      1000);
	return kernel_delivered_ce(kernel);
}

static unsigned to_weft(bool is_v6)
{
	struct sockaddr_storage at;
	socklen_t len = end_address(is_v6, true, PORT_WEFT, &at);
	int l = weft_socket(stack, at.ss_family, SOCK_STREAM, 0), on = 1;
	int s = socket(at.ss_family, SOCK_STREAM, 0);

	must(l, "weft_socket");
	must(weft_setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
	must(weft_bind(l, (struct sockaddr *)&at, len), "weft_bind");
	must(weft_listen(l, 1), "weft_listen");
	must(connect(s, (struct sockaddr *)&at, len), "connect");
	int c = weft_accept(l, NULL, NULL);

	must(c, "weft_accept");
	unsigned marks = talk(s, c);

	must(weft_close(c), "weft_close");
	must(weft_close(l), "weft_close");
	must(close(s), "close");
	return marks;
}

static unsigned to_kernel(bool is_v6)
{
	struct sockaddr_storage at;
	socklen_t len = end_address(is_v6, false, PORT_KERNEL, &at);
	int l = socket(at.ss_family, SOCK_STREAM, 0), on = 1;
	int s = weft_socket(stack, at.ss_family, SOCK_STREAM, 0);

	must(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
	must(bind(l, (struct sockaddr *)&at, len), "bind");
	must(listen(l, 1), "listen");
	must(weft_connect(s, (struct sockaddr *)&at, len), "weft_connect");
	int c = accept(l, NULL, NULL);

	must(c, "accept");
	unsigned marks = talk(c, s);

	must(weft_close(s), "weft_close");
	must(close(c), "close");
	must(close(l), "close");
	return marks;
}

static void both(const char *what, unsigned long long opened, bool is_marking)
{
	unsigned marks = 0;

	for (unsigned is_v6 = 0; is_v6 < 2; is_v6++)
		marks += to_weft(is_v6) + to_kernel(is_v6);
	printf("%s: weft counted %llu marks, the kernel heard of %u\n", what,
	       weft_count("TCP_ECN_CE_IN"), marks);
	equal("connections with accurate ECN", weft_count("TCP_ECN_ACCURATE"), opened + 4);
	equal("changed fields", weft_count("TCP_ECN_MANGLED"), 0);
	equal("marks at weft", weft_count("TCP_ECN_CE_IN") > 0, is_marking);
	equal("marks that the kernel heard of", marks > 0, is_marking);
}

int main(int argc, char **argv)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char why[200] = "", mark[200];

	if (argc < 2)
		return 2;
	(void)alarm(40);
	config.tun_name = argv[1];
	config.addr = "10.77.0.2/24";
	config.peer = "10.77.0.1";
	config.addr6 = "fd77::2/64";
	config.peer6 = "fd77::1";
	config.ecn = WEFT_ECN_ACCURATE;
	stack = weft_stack_open(&config, why, sizeof(why));
	if (!stack) {
		printf("no stack: %s\n", why);
		return 1;
	}
	both("no marks", 0, false);
	(void)snprintf(mark, sizeof(mark),
		       "tc qdisc replace dev %s root fq_codel ecn ce_threshold 0us 2>/dev/null",
		       argv[1]);
	if (system(mark) == 0)
		both("marks", 4, true);
	else
		printf("no tc with fq_codel: marks are left out\n");
	weft_stack_close(stack);
	return failures != 0;
}
