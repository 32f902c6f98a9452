/*
 * share: two writers on one end and two readers on the other.  Each writer has byte values of its
 * own; what the readers counted of every value is what was written.
 */
#include "stress.h"

enum { WRITERS = 2, VALUES = 256, SIZE_MAX_BYTES = 20000 };

static atomic_ullong written[VALUES];
static atomic_ullong counted[VALUES];

static void write_some(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = malloc(SIZE_MAX_BYTES);

	for (unsigned round = 0; bytes && stress_more(stress, round); round++) {
		size_t size = 1 + prng_below(prng, SIZE_MAX_BYTES);
		unsigned long long sums[VALUES] = {0};
		for (size_t i = 0; i < size; i++) {
			bytes[i] = (uint8_t)(prng_below(prng, VALUES / WRITERS) * WRITERS + index);
			sums[bytes[i]]++;
		}
		if (!stress_send_all(stress->fds[0], bytes, size))
			FAIL(stress, "send");
		for (unsigned i = 0; i < VALUES; i++)
			atomic_fetch_add(&written[i], sums[i]);
	}
	free(bytes);
}

static void read_all(struct stress *stress, unsigned index, struct prng *prng)
{
	uint8_t *bytes = malloc(SIZE_MAX_BYTES);
	ssize_t rc = -1;

	(void)index;
	while (bytes &&
	       (rc = weft_recv(stress->fds[1], bytes, 1 + prng_below(prng, SIZE_MAX_BYTES), 0)) > 0)
		for (ssize_t i = 0; i < rc; i++)
			atomic_fetch_add(&counted[bytes[i]], 1);
	if (rc != 0)
		FAIL(stress, "recv");
	free(bytes);
}

void mode_share(struct stress *stress)
{
	struct stress_group writers;
	struct stress_group readers;

	stress->listener = stress_listen(stress, 4);
	stress->fds[0] = stress_connect(stress);
	stress->fds[1] = weft_accept(stress->listener, NULL, NULL);
	if (stress->fds[1] < 0)
		FAIL(stress, "accept");
	stress_start(stress, &readers, 2, read_all);
	stress_start(stress, &writers, WRITERS, write_some);
	stress_join(&writers);
	if (weft_shutdown(stress->fds[0], SHUT_WR) != 0)
		FAIL(stress, "shutdown");
	stress_join(&readers);
	for (unsigned i = 0; i < VALUES; i++)
		if (atomic_load(&written[i]) != atomic_load(&counted[i]))
			FAIL(stress, "value %u: %llu written, %llu read", i,
			     atomic_load(&written[i]), atomic_load(&counted[i]));
	(void)weft_close(stress->fds[0]);
	(void)weft_close(stress->fds[1]);
	(void)weft_close(stress->listener);
}
