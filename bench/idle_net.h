/*
 * idle_net.h - a network namespace of the process's own, for kernel clients: nobody else sees its
 * addresses, its limits can be set freely, and it goes when the last process in it has ended.
 */
#ifndef BENCH_IDLE_NET_H
#define BENCH_IDLE_NET_H

/* Exit code of a program that needs root or a device that is not there. */
enum { EXIT_SKIPPED = 77 };

/* Moves the calling process, which has one thread, into a new namespace.  0 or -errno. */
int net_unshare(void);

/* Limits of the namespace for many connections: ports, SYN backlog, TIME-WAIT.  Best effort. */
void net_tune(void);

/* Packets that may wait for the reader of the TUN interface 'name'.  Best effort. */
void net_set_queue(const char *name, int packets);

/* Runs "ip" with the words of 'arguments'.  0, or -1 when it failed. */
int net_ip(const char *arguments);

#endif
