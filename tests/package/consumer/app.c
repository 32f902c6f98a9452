/*
 * A program of a user who has weft installed: two stacks on a cable in memory, one byte across.
 * Prints the library's version.
 */
#include <stdio.h>
#include <string.h>
#include <weft/weft.h>
#ifdef APP_DNS
#include <weft/dns.h>
#endif

static struct weft_stack *open_on(struct weft_dev *dev, const char *addr)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char why[256];

	config.dev = dev;
	config.addr = addr;
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));
	if (!stack)
		(void)fprintf(stderr, "app: %s\n", why);
	return stack;
}

/* Names: from nobody, or from a server that there is not. */
static int check_names(struct weft_stack *stack)
{
	struct addrinfo *list = NULL;
	int wanted = EAI_NONAME;

#ifdef APP_DNS
	struct weft_dns_config dns = WEFT_DNS_CONFIG_INIT;

	dns.servers = "192.0.2.2:54";
	wanted = EAI_AGAIN;
	if (weft_dns_attach(stack, &dns, NULL, 0) < 0)
		return -1;
#endif
	if (weft_getaddrinfo(stack, "192.0.2.2", "7", NULL, &list) != 0)
		return -1;
	weft_freeaddrinfo(list);
	return weft_getaddrinfo(stack, "host.example", "7", NULL, &list) == wanted ? 0 : -1;
}

int main(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(7)};
	struct weft_dev *ends[2];
	char byte = 0;

	if (weft_dev_pair(ends, 1500, 0, 64) < 0)
		return 1;
	struct weft_stack *a = open_on(ends[0], "192.0.2.1/24");
	struct weft_stack *b = open_on(ends[1], "192.0.2.2/24");
	if (!a || !b)
		return 1;
	addr.sin_addr.s_addr = htonl(0xc0000202);
	int listener = weft_socket(b, AF_INET, SOCK_STREAM, 0);
	int client = weft_socket(a, AF_INET, SOCK_STREAM, 0);
	if (weft_bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    weft_listen(listener, 1) < 0 ||
	    weft_connect(client, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return 1;
	int server = weft_accept(listener, NULL, NULL);
	if (weft_send(client, "x", 1, 0) != 1 || weft_recv(server, &byte, 1, 0) != 1 || byte != 'x')
		return 1;
	if (check_names(a) < 0)
		return 1;
	weft_stack_close(a);
	weft_stack_close(b);
	return puts(weft_version()) < 0;
}
