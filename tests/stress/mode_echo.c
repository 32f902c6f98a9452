/*
 * echo: client threads send random bytes in random sizes; server threads send them back; the hashes
 * of what went out and what came back are equal.
 */
#include "stress.h"

static void serve(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = malloc(STRESS_CHUNK_MAX);
	int fd;

	(void)index;
	while (bytes && (fd = stress_accept(stress)) >= 0) {
		ssize_t size;
		while ((size = weft_recv(fd, bytes, 1 + prng_below(prng, STRESS_CHUNK_MAX), 0)) > 0)
			if (!stress_send_all(fd, bytes, (size_t)size))
				FAIL(stress, "server send");
		if (size < 0)
			FAIL(stress, "server recv");
		if (weft_close(fd) != 0)
			FAIL(stress, "server close");
	}
	/* The main thread ends the listener when the clients are done. */
	if (errno != EINVAL)
		FAIL(stress, "accept");
	free(bytes);
}

static bool talk(int fd, struct prng *prng, uint8_t *bytes)
{
	unsigned count = 1 + prng_below(prng, 8);
	uint64_t sent = 0;
	uint64_t received = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t size = 1 + prng_below(prng, prng_below(prng, 2) ? 100 : STRESS_CHUNK_MAX);
		stress_fill(prng, bytes, size);
		sent = stress_hash(sent, bytes, size);
		if (!stress_send_all(fd, bytes, size) || !stress_recv_all(fd, bytes, size))
			return false;
		received = stress_hash(received, bytes, size);
	}
	return sent == received && weft_shutdown(fd, SHUT_WR) == 0 &&
	       weft_recv(fd, bytes, 1, 0) == 0;
}

static void ask(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = malloc(STRESS_CHUNK_MAX);

	for (unsigned round = 0; bytes && stress_more(stress, round); round++) {
		int fd = stress_connect(stress);
		if (fd < 0 || !talk(fd, prng, bytes))
			FAIL(stress, "client %u round %u", index, round);
		if (fd >= 0 && weft_close(fd) != 0)
			FAIL(stress, "client close");
	}
	free(bytes);
}

void mode_echo(struct stress *stress)
{
	struct stress_group servers;
	struct stress_group clients;

	stress->listener = stress_listen(stress, 128);
	stress_start(stress, &servers, stress->threads, serve);
	stress_start(stress, &clients, stress->threads, ask);
	stress_join(&clients);
	(void)weft_shutdown(stress->listener, SHUT_RD);
	stress_join(&servers);
	(void)weft_close(stress->listener);
}
