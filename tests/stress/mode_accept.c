/*
 * accept: many acceptors on one listener.  Every client says its number; each number comes out of
 * accept exactly once.
 */
#include "stress.h"

enum { IDS_MAX = 1 << 20 };

static atomic_uchar seen[IDS_MAX];
static atomic_uint next_id;
static atomic_uint accepted;

static void serve(struct stress *stress, unsigned index, struct prng *prng)
{
	int fd;

	(void)index;
	(void)prng;
	while ((fd = weft_accept(stress->listener, NULL, NULL)) >= 0) {
		uint32_t id;
		if (!stress_recv_all(fd, &id, sizeof(id)))
			FAIL(stress, "recv of a number");
		else if (id >= IDS_MAX || atomic_fetch_add(&seen[id], 1) != 0)
			FAIL(stress, "number %u twice", id);
		atomic_fetch_add(&accepted, 1);
		(void)weft_close(fd);
	}
	if (errno != EINVAL)
		FAIL(stress, "accept");
}

static void ask(struct stress *stress, unsigned index, struct prng *prng)
{
	char byte;

	(void)index;
	(void)prng;
	for (unsigned round = 0; stress_more(stress, round); round++) {
		uint32_t id = atomic_fetch_add(&next_id, 1);
		int fd = id < IDS_MAX ? stress_connect(stress) : -1;
		if (fd < 0) {
			FAIL(stress, "connect");
			return;
		}
		if (!stress_send_all(fd, &id, sizeof(id)) || weft_recv(fd, &byte, 1, 0) != 0)
			FAIL(stress, "number %u", id);
		(void)weft_close(fd);
	}
}

void mode_accept(struct stress *stress)
{
	struct stress_group servers;
	struct stress_group clients;

	stress->listener = stress_listen(stress, 16);
	stress_start(stress, &servers, 8, serve);
	stress_start(stress, &clients, stress->threads, ask);
	stress_join(&clients);
	(void)weft_shutdown(stress->listener, SHUT_RD);
	stress_join(&servers);
	(void)weft_close(stress->listener);
	if (atomic_load(&accepted) != atomic_load(&next_id))
		FAIL(stress, "%u accepted of %u", atomic_load(&accepted), atomic_load(&next_id));
}
