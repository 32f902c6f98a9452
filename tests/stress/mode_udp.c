/*
 * udp: clients with sockets that come and go ask servers that share one socket, or have one each in a
 * SO_REUSEPORT group; every answer is to its question.  The bed loses nothing: each client has one
 * question on its way.
 */
#include "stress.h"

static struct sockaddr_in name_of(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(0xc0000201)};
}

enum { UDP_MAX = 20000, GROUP_MAX = 64 };

/* Gets no answer, which would come to a port that is another one's by then. */
static const char bye[3] = "bye";

static int shared;
static int group[GROUP_MAX];

static const struct sockaddr *sa(const struct sockaddr_in *in)
{
	return (const struct sockaddr *)(const void *)in;
}

static int open_udp(struct weft_stack *stack)
{
	const struct timeval limit = {.tv_sec = STRESS_TIMEOUT_S};
	int fd = weft_socket(stack, AF_INET, SOCK_DGRAM, 0);

	if (fd >= 0 && weft_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
		return -1;
	return fd;
}

static int open_server(struct stress *stress, uint16_t port, bool is_group)
{
	struct sockaddr_in in = name_of(port);
	int on = is_group;
	int size = 4 << 20; /* for what all clients may have on its way */
	int fd = open_udp(stress->server);

	in.sin_addr.s_addr = 0;
	if (fd < 0 || weft_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
	    weft_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) != 0 ||
	    weft_bind(fd, sa(&in), sizeof(in)) != 0)
		FAIL(stress, "server socket");
	return fd;
}

/* Sends back until the main thread closes the socket. */
static void serve(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = malloc(UDP_MAX);
	int fd = index % 2 == 0 ? shared : group[index / 2];
	struct sockaddr_in from;

	(void)prng;
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t size = bytes ? weft_recvfrom(fd, bytes, UDP_MAX, 0,
						     (struct sockaddr *)(void *)&from, &len)
				     : -1;

		if (size < 0 && errno == EAGAIN)
			continue;
		if (size < 0)
			break;
		if (size == sizeof(bye))
			continue;
		/* Whoever asked may be gone: that is no error of a socket that is not connected. */
		if (weft_sendto(fd, bytes, (size_t)size, 0, sa(&from), len) != size)
			FAIL(stress, "server send");
	}
	if (errno != EBADF)
		FAIL(stress, "server recv");
	free(bytes);
}

/* One question; with or without a peer. */
static bool talk(int fd, const struct sockaddr_in *to, struct prng *prng, uint8_t *out, uint8_t *in)
{
	size_t size = prng_below(prng, prng_below(prng, 4) ? 100 : UDP_MAX);

	size += size == sizeof(bye);
	stress_fill(prng, out, size);
	ssize_t rc = to ? weft_sendto(fd, out, size, 0, sa(to), sizeof(*to))
			: weft_send(fd, out, size, 0);
	return rc == (ssize_t)size && weft_recv(fd, in, UDP_MAX, 0) == rc &&
	       memcmp(in, out, size) == 0;
}

static void ask(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = malloc(2 * (size_t)UDP_MAX);
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};

	for (unsigned round = 0; bytes && stress_more(stress, round); round++) {
		const struct sockaddr_in to =
			name_of((uint16_t)(STRESS_PORT + prng_below(prng, 2)));
		int fd = open_udp(stress->client);
		bool is_good = fd >= 0;

		for (unsigned i = prng_below(prng, 6); is_good && i > 0; i--) {
			bool is_connected = prng_below(prng, 2);

			if (is_connected)
				is_good = weft_connect(fd, sa(&to), sizeof(to)) == 0;
			is_good = is_good &&
				  talk(fd, is_connected ? NULL : &to, prng, bytes, bytes + UDP_MAX);
			if (is_connected && prng_below(prng, 2))
				is_good = weft_connect(fd, &unspec, sizeof(unspec)) == 0 && is_good;
		}
		if (!is_good)
			FAIL(stress, "client %u round %u", index, round);
		/* Not read by anybody. */
		if (is_good && prng_below(prng, 4) == 0)
			(void)weft_sendto(fd, bye, sizeof(bye), 0, sa(&to), sizeof(to));
		if (fd >= 0 && weft_close(fd) != 0)
			FAIL(stress, "client close");
	}
	free(bytes);
}

void mode_udp(struct stress *stress)
{
	unsigned members = stress->threads / 2;
	struct stress_group servers;
	struct stress_group clients;

	if (members > GROUP_MAX)
		members = GROUP_MAX;
	shared = open_server(stress, STRESS_PORT, false);
	for (unsigned i = 0; i < members; i++)
		group[i] = open_server(stress, STRESS_PORT + 1, true);
	stress_start(stress, &servers, 2 * members, serve);
	stress_start(stress, &clients, stress->threads, ask);
	stress_join(&clients);
	(void)weft_close(shared);
	for (unsigned i = 0; i < members; i++)
		(void)weft_close(group[i]);
	stress_join(&servers);
}
