/*
 * Fast open (RFC 7413) between weft and the kernel, both ways and over both versions of IP: the first
 * connection asks for a cookie, the next ones have their data on the SYN.  Both sides' counters have to say
 * so.  Runs in a namespace with net.ipv4.tcp_fastopen=3; see fastopen.sh.
 */
#include "check.h"
#include "ends.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 3, BACKLOG = 16, PORT_WEFT = 80, PORT_KERNEL = 81 };

/* A counter of the namespace's, from the pairs of lines that begin with "TcpExt:". */
static unsigned long long kernel_count(const char *name)
{
	static char names[1 << 14], values[1 << 14];
	unsigned long long result = 0;
	char *n_rest = NULL, *v_rest = NULL;
	FILE *f = fopen("/proc/self/net/netstat", "r");

	must(f ? 0 : -1, "netstat");
	while (fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
		if (strncmp(names, "TcpExt:", 7) != 0)
			continue;
		char *n = strtok_r(names, " \n", &n_rest), *v = strtok_r(values, " \n", &v_rest);

		while (n && v && strcmp(n, name) != 0) {
			n = strtok_r(NULL, " \n", &n_rest);
			v = strtok_r(NULL, " \n", &v_rest);
		}
		if (v)
			result = strtoull(v, NULL, 10);
	}
	(void)fclose(f);
	return result;
}

/* The kernel connects to weft. */
static void to_weft(bool is_v6)
{
	struct sockaddr_storage at;
	socklen_t len = end_address(is_v6, true, PORT_WEFT, &at);
	int l = weft_socket(stack, at.ss_family, SOCK_STREAM, 0), queue = BACKLOG, on = 1;
	char got[8];

	must(l, "weft_socket");
	must(weft_setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)), "TCP_FASTOPEN");
	must(weft_setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
	must(weft_bind(l, (struct sockaddr *)&at, len), "weft_bind");
	must(weft_listen(l, BACKLOG), "weft_listen");
	for (unsigned i = 0; i < ROUNDS; i++) {
		int s = socket(at.ss_family, SOCK_STREAM, 0);

		must(s, "socket");
		must(sendto(s, "ping", 4, MSG_FASTOPEN, (struct sockaddr *)&at, len), "sendto");
		int c = weft_accept(l, NULL, NULL);

		must(c, "weft_accept");
		equal("what weft read", (unsigned long long)weft_read(c, got, sizeof(got)), 4);
		must(weft_write(c, "pong", 4), "weft_write");
		must(weft_close(c), "weft_close");
		equal("what the kernel read", (unsigned long long)read(s, got, sizeof(got)), 4);
		must(close(s), "close");
	}
	must(weft_close(l), "weft_close");
}

/* Weft connects to the kernel. */
static void to_kernel(bool is_v6)
{
	struct sockaddr_storage at;
	socklen_t len = end_address(is_v6, false, PORT_KERNEL, &at);
	int l = socket(at.ss_family, SOCK_STREAM, 0), queue = BACKLOG, on = 1;
	char got[8];

	must(l, "socket");
	must(setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)), "TCP_FASTOPEN");
	must(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
	must(bind(l, (struct sockaddr *)&at, len), "bind");
	must(listen(l, BACKLOG), "listen");
	for (unsigned i = 0; i < ROUNDS; i++) {
		int s = weft_socket(stack, at.ss_family, SOCK_STREAM, 0);

		must(s, "weft_socket");
		must(weft_sendto(s, "ping", 4, MSG_FASTOPEN, (struct sockaddr *)&at, len),
		     "weft_sendto");
		int c = accept(l, NULL, NULL);

		must(c, "accept");
		equal("what the kernel read", (unsigned long long)read(c, got, sizeof(got)), 4);
		must(write(c, "pong", 4), "write");
		must(close(c), "close");
		equal("what weft read", (unsigned long long)weft_read(s, got, sizeof(got)), 4);
		must(weft_close(s), "weft_close");
	}
	must(close(l), "close");
}

int main(int argc, char **argv)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char why[200] = "";

	if (argc < 2)
		return 2;
	(void)alarm(60);
	config.tun_name = argv[1];
	config.addr = "10.77.0.2/24";
	config.peer = "10.77.0.1";
	config.addr6 = "fd77::2/64";
	config.peer6 = "fd77::1";
	config.fastopen = WEFT_FASTOPEN_CLIENT | WEFT_FASTOPEN_SERVER;
	stack = weft_stack_open(&config, why, sizeof(why));
	if (!stack) {
		printf("no stack: %s\n", why);
		return 1;
	}
	for (unsigned is_v6 = 0; is_v6 < 2; is_v6++) {
		unsigned long long later = (is_v6 + 1) * (ROUNDS - 1);

		to_weft(is_v6);
		equal("the kernel's TCPFastOpenActive", kernel_count("TCPFastOpenActive"), later);
		equal("its TCPFastOpenActiveFail", kernel_count("TCPFastOpenActiveFail"), 0);
		equal("weft's cookie requests", weft_count("TCP_FASTOPEN_COOKIE_REQ"), is_v6 + 1);
		equal("weft's passive opens", weft_count("TCP_FASTOPEN_PASSIVE"), later);
		equal("weft's bad cookies", weft_count("TCP_FASTOPEN_BAD_COOKIE"), 0);
		to_kernel(is_v6);
		equal("the kernel's cookie requests", kernel_count("TCPFastOpenCookieReqd"),
		      is_v6 + 1);
		equal("its TCPFastOpenPassive", kernel_count("TCPFastOpenPassive"), later);
		equal("its TCPFastOpenPassiveFail", kernel_count("TCPFastOpenPassiveFail"), 0);
		equal("weft's active opens", weft_count("TCP_FASTOPEN_ACTIVE"), later);
		equal("weft's failed ones", weft_count("TCP_FASTOPEN_ACTIVE_FAIL"), 0);
	}
	weft_stack_close(stack);
	return failures != 0;
}
