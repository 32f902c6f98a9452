/*
 * hello.c - the smallest server: echoes what it receives, one thread for each connection.
 * Needs the right to make a TUN interface; try it with: nc 192.0.2.2 7
 */
#include <stdio.h>
#include <weft/weft.h>

static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[2048];
	ssize_t n;

	/* A blocking write takes everything or fails. */
	while ((n = weft_read(fd, buf, sizeof(buf))) > 0 && weft_write(fd, buf, (size_t)n) == n)
		continue;
	weft_close(fd);
	return NULL;
}

int main(void)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(7)};
	char why[256];
	pthread_t thread;
	int listener, fd;

	config.addr = "192.0.2.2/24"; /* the stack's address */
	config.peer = "192.0.2.1";    /* the kernel's address on the same interface */
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));
	if (!stack) {
		fprintf(stderr, "hello: %s\n", why);
		return 1;
	}
	listener = weft_socket(stack, AF_INET, SOCK_STREAM, 0);
	if (listener < 0 || weft_bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    weft_listen(listener, 128) < 0) {
		perror("hello: listen");
		return 1;
	}
	while ((fd = weft_accept(listener, NULL, NULL)) >= 0) {
		if (pthread_create(&thread, NULL, echo, (void *)(intptr_t)fd) != 0)
			weft_close(fd);
		else
			pthread_detach(thread);
	}
	perror("hello: accept");
	weft_stack_close(stack);
	return 1;
}
