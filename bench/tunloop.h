/*
 * tunloop.h - what the parts of tunloop share: the options, the device, and a worker (a connection
 * with the thread that plays its TCP).
 */
#ifndef BENCH_TUNLOOP_H
#define BENCH_TUNLOOP_H

#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum loop_mode { LOOP_SINK, LOOP_SOURCE, LOOP_ECHO };

enum loop_io { LOOP_PLAIN, LOOP_URING, LOOP_NAPI };

enum {
	LOOP_QUEUES_MAX = 2,
	LOOP_STREAMS_MAX = 8,
	LOOP_BUFFERS_MIN = 64, /* more than a batch */
	LOOP_BUFFERS_MAX = 4096,
	LOOP_BATCH = 32,
	LOOP_PORT = 5001, /* of the first worker; the next ones count on */
	LOOP_VNET_SIZE = 10,
	LOOP_HDR_SIZE = 40, /* IPv4 and TCP, both without options */
	LOOP_FRAME_MAX = 65600,
};

struct loop_options {
	enum loop_mode mode;
	enum loop_io io;
	bool has_offload;
	bool has_copy;
	uint32_t mtu;
	uint32_t seconds;
	uint32_t size; /* of echo's messages */
	unsigned queues;
	unsigned streams; /* connections; those of a queue share its thread */
	unsigned
		buffers; /* sink: that frames are read into by turns; 1: payload is copied at once */
	int cpu;         /* -1: not pinned */
	int peer_cpu;    /* -1: not pinned */
	const char *tun_name;
	const char *addr; /* "A/PLEN", the loop's */
	const char *peer; /* "A", the kernel's */
	uint8_t addr4[4]; /* both in network order */
	uint8_t peer4[4];
};

/* ---- The device (tunloop_dev.c): one queue of the TUN; one thread at a time. ---- */

/* Called for each frame read: the bytes behind the virtio-net header. */
typedef void loop_frame_fn(void *ctx, const uint8_t *packet, size_t size);

struct loop_uring;

struct loop_dev {
	int fd;
	size_t vnet_size; /* 0 without offload */
	uint8_t *buf;     /* plain: what is read goes into one of 'count' of 'stride' bytes */
	size_t stride;
	unsigned count;
	unsigned next;
	struct loop_uring *uring; /* NULL: plain */
};

/* Opens all queues and sets the interface up.  0, or -1 after a line on stderr. */
int loop_dev_open(struct loop_dev devs[LOOP_QUEUES_MAX], const struct loop_options *opt);
void loop_dev_close(struct loop_dev *dev);

/*
 * Gives 'fn' up to 'max' frames; returns how many there were, without waiting.  A frame stays where
 * it is until 'buffers' more have been read.
 */
int loop_dev_read(struct loop_dev *dev, int max, loop_frame_fn *fn, void *ctx);

/*
 * Sends 'hdr' (LOOP_HDR_SIZE bytes) and 'payload', which must stay as it is until the next read.
 * 'gso_size' 0: whole, with its checksum in place unless 'is_partial'.
 */
void loop_dev_write(struct loop_dev *dev, const uint8_t *hdr, const void *payload, size_t size,
		    uint16_t gso_size, bool is_partial);

/* ---- Workers (tunloop_tcp.c). ---- */

/* Payload that is to be copied behind the batch. */
struct loop_view {
	const uint8_t *data;
	size_t size;
};

struct loop_worker {
	/* Immutable. */
	const struct loop_options *opt;
	struct loop_dev *devs; /* of all workers */
	struct loop_worker *workers;
	struct loop_worker *next; /* on the same queue, in the same thread; or NULL */
	unsigned index;
	int cpu;
	pthread_t thread; /* of a queue's first worker */
	uint32_t mss;

	/* Atomic; written by one thread only. */
	unsigned peer_wscale; /* by whoever sees the SYN */
	uint16_t peer_port;   /* likewise; 0: no SYN yet */
	uint64_t bytes;       /* payload received in order, or acknowledged by the peer */
	uint64_t frames;      /* with payload, as read or written */
	uint64_t timeouts;    /* source: began again at the first unacknowledged byte */
	bool is_stopping;     /* by the main thread */

	/* The thread's. */
	bool is_up;
	bool owes_ack;
	uint32_t rcv_nxt, snd_una, snd_nxt, snd_wnd;
	uint64_t app_offset;
	uint8_t *app;  /* the application's memory */
	uint8_t *send; /* source with --copy: the send buffer */
	struct loop_view views[LOOP_BATCH];
	unsigned view_count;
};

void *loop_run(void *worker);

/* Pins the calling thread; -1: does nothing. */
void loop_pin(int cpu);

#endif
