/*
 * What becomes of a connection between weft and the kernel when the interface is set down and up again, and
 * when it is deleted.  Runs in a namespace; see link.sh.
 */
#include "check.h"
#include "ends.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 81 };

static const char *interface;

static void ip_link(const char *what)
{
	char command[100];

	(void)snprintf(command, sizeof(command), "ip link %s %s", what, interface);
	must(system(command) == 0 ? 0 : -1, command);
}

/* What is sent meanwhile is sent again, both ways. */
static void down_and_up(int kernel, int weft)
{
	char got[8];

	must(send(kernel, "before", 6, 0), "send");
	equal("read", (unsigned long)weft_recv(weft, got, 6, MSG_WAITALL), 6);
	ip_link("set down dev");
	must(weft_send(weft, "weft", 4, 0), "weft_send");
	must(send(kernel, "kernel", 6, 0), "send");
	ip_link("set up dev");
	equal("weft's bytes", (unsigned long)recv(kernel, got, 4, MSG_WAITALL), 4);
	equal("the kernel's bytes", (unsigned long)weft_recv(weft, got, 6, MSG_WAITALL), 6);
	equal("failed devices", weft_count("DEV_FAILED"), 0);
}

static void *read_byte(void *arg)
{
	char byte;

	return weft_recv(*(int *)arg, &byte, 1, 0) < 0 ? (void *)(long)errno : NULL;
}

/* Who waits is told, and so is who comes later. */
static void deleted(int weft, struct sockaddr_storage *at, socklen_t len)
{
	pthread_t reader;
	void *error;

	must(-pthread_create(&reader, NULL, read_byte, &weft), "pthread_create");
	ip_link("delete dev");
	must(-pthread_join(reader, &error), "pthread_join");
	equal("the reader's error", (unsigned long)(long)error, ENODEV);
	int s = weft_socket(stack, AF_INET, SOCK_STREAM, 0);

	must(s, "weft_socket");
	equal("connect", weft_connect(s, (struct sockaddr *)at, len) < 0 ? (unsigned)errno : 0,
	      ENODEV);
	equal("failed devices", weft_count("DEV_FAILED"), 1);
	must(weft_close(s), "weft_close");
}

int main(int argc, char **argv)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct sockaddr_storage at;
	char why[200] = "";

	if (argc < 2)
		return 2;
	(void)alarm(40);
	interface = argv[1];
	config.tun_name = interface;
	config.addr = "10.77.0.2/24";
	config.peer = "10.77.0.1";
	stack = weft_stack_open(&config, why, sizeof(why));
	if (!stack) {
		printf("no stack: %s\n", why);
		return 1;
	}
	socklen_t len = end_address(false, false, PORT, &at);
	int l = socket(AF_INET, SOCK_STREAM, 0), weft = weft_socket(stack, AF_INET, SOCK_STREAM, 0);

	must(bind(l, (struct sockaddr *)&at, len), "bind");
	must(listen(l, 1), "listen");
	must(weft_connect(weft, (struct sockaddr *)&at, len), "weft_connect");
	int kernel = accept(l, NULL, NULL);

	must(kernel, "accept");
	down_and_up(kernel, weft);
	deleted(weft, &at, len);
	must(weft_close(weft), "weft_close");
	weft_stack_close(stack);
	return failures != 0;
}
