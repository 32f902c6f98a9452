/*
 * perf_zerocopy.h - sending with MSG_ZEROCOPY on weft's sockets or the kernel's, and waiting for the
 * completions.  One thread for each.
 */
#ifndef BENCH_PERF_ZEROCOPY_H
#define BENCH_PERF_ZEROCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct perf_zerocopy {
	int fd;
	bool is_kernel;
	uint32_t calls; /* sent */
	uint32_t done;  /* of them completed */
};

/* Asks for it on 'fd'.  0, or -1 with errno. */
int perf_zerocopy_init(struct perf_zerocopy *z, int fd, bool is_kernel);

/* Sends 'size' bytes, which stay as they are until they are completed.  0, or -1 with errno. */
int perf_zerocopy_write(struct perf_zerocopy *z, const uint8_t *data, size_t size);

/* Waits until at most 'left' calls are not completed.  0, or -1 with errno. */
int perf_zerocopy_wait(struct perf_zerocopy *z, uint32_t left);

#endif
