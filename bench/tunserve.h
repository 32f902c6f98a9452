/*
 * tunserve.h - the ceiling of a server on a TUN device: every request of HTTP is answered with the
 * same 1 KiB, every message of weft-perf's crr and rr with itself, from what its own packet says, with
 * the least TCP that a client's kernel accepts.  There is no timer and no buffer, and nothing is ever
 * sent again.  What it reaches no stack behind this device can exceed; with threads, none whose
 * connections have a thread each that sleeps until its request has come.
 */
#ifndef BENCH_TUNSERVE_H
#define BENCH_TUNSERVE_H

#include "tunloop.h"

/*
 * Serves on a device whose reads wait, for ever; -1 when there is no thread to be had.  'root' is -1,
 * or a folder whose file 1k.bin (1 KiB) is opened and read for each answer of HTTP.
 */
int tunserve_run(const struct loop_options *opt, struct loop_dev *dev, bool has_threads, int root);

#endif
