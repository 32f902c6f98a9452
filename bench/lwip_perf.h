/*
 * lwip_perf.h - lwip-perf's network interface: lwIP on weft's TUN device.
 */
#ifndef BENCH_LWIP_PERF_H
#define BENCH_LWIP_PERF_H

#include <stddef.h>

struct weft_config;

/*
 * Opens the TUN device, starts lwIP with it, and a thread that reads from it.  0, or -1 with a line
 * in 'why'.  Once in a process; lwIP cannot be ended.
 */
int lwip_perf_open(const struct weft_config *config, char *why, size_t why_size);

/* Resets the connection of socket 'fd' and wakes the calls blocked on it.  Any thread. */
void lwip_perf_abort(int fd);

#endif
