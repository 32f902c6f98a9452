/*
 * tunserve.h - the ceiling of a web server on a TUN device: every request is answered with the same
 * 1 KiB from what its own packet says, with the least TCP that a client's kernel accepts.  There is no
 * timer and no buffer, and nothing is ever sent again.  What it reaches no stack behind this device can
 * exceed; with threads, none whose connections have a thread each that sleeps until its request has come.
 */
#ifndef BENCH_TUNSERVE_H
#define BENCH_TUNSERVE_H

#include "tunloop.h"

/* Serves on a device whose reads wait, for ever; -1 when there is no thread to be had. */
int tunserve_run(const struct loop_options *opt, struct loop_dev *dev, bool has_threads);

#endif
