/*
 * storm: connections that end in every way at once: RST by SO_LINGER {1,0}, half close, close with
 * unread data, plain close; from both ends.  Calls may fail with what a reset gives, nothing else,
 * and none may hang.
 */
#include "stress.h"

enum ending { END_RESET, END_HALF_CLOSE, END_UNREAD, END_PLAIN, END_COUNT };

/* Errors that the other end's manners explain. */
static bool is_expected(int error)
{
	return error == ECONNRESET || error == EPIPE || error == ENOTCONN;
}

static void check(struct stress *stress, bool is_good, const char *what)
{
	if (!is_good && !is_expected(errno))
		FAIL(stress, "%s", what);
}

static void read_to_end(struct stress *stress, int fd, uint8_t *bytes)
{
	ssize_t rc;

	while ((rc = weft_recv(fd, bytes, STRESS_CHUNK_MAX, 0)) > 0)
		;
	check(stress, rc == 0, "recv to the end");
}

static void end(struct stress *stress, int fd, struct prng *prng, uint8_t *bytes)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	switch ((enum ending)prng_below(prng, END_COUNT)) {
	case END_RESET:
		if (weft_setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) != 0)
			FAIL(stress, "SO_LINGER");
		break;
	case END_HALF_CLOSE:
		check(stress, weft_shutdown(fd, SHUT_WR) == 0, "shutdown");
		read_to_end(stress, fd, bytes);
		break;
	case END_UNREAD:
		check(stress, weft_recv(fd, bytes, 1, MSG_DONTWAIT) >= 0 || errno == EAGAIN,
		      "peek");
		break;
	case END_PLAIN:
	case END_COUNT:
		break;
	}
	if (weft_close(fd) != 0)
		FAIL(stress, "close");
}

static void talk(struct stress *stress, int fd, struct prng *prng, uint8_t *bytes)
{
	for (unsigned i = prng_below(prng, 3); i > 0; i--) {
		size_t size = 1 + prng_below(prng, 20000);
		check(stress, weft_send(fd, bytes, size, 0) > 0, "send");
	}
	end(stress, fd, prng, bytes);
}

static void serve(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = calloc(1, STRESS_CHUNK_MAX);
	int fd;

	(void)index;
	while (bytes && (fd = stress_accept(stress)) >= 0)
		talk(stress, fd, prng, bytes);
	if (errno != EINVAL)
		FAIL(stress, "accept");
	free(bytes);
}

static void ask(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = calloc(1, STRESS_CHUNK_MAX);

	for (unsigned round = 0; bytes && stress_more(stress, round); round++) {
		int fd = stress_connect(stress);
		if (fd >= 0)
			talk(stress, fd, prng, bytes);
		else if (errno != ECONNRESET)
			FAIL(stress, "client %u connect in round %u", index, round);
	}
	free(bytes);
}

void mode_storm(struct stress *stress)
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
