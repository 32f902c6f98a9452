/*
 * tunloop_dev.c - a TUN queue with nothing between it and the loop: plain read and writev, or
 * batches of both through io_uring.  See tunloop.h.
 */
#include "tunloop.h"

#include "tun/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef TUNLOOP_URING
#include <liburing.h>
#endif

static int complain(const char *what, int error)
{
	(void)fprintf(stderr, "tunloop: %s: %s\n", what, strerror(error));
	return -1;
}

/* ---- io_uring. ---- */

#ifdef TUNLOOP_URING
enum { URING_BATCH = 32, URING_BUF = 2048, URING_HDR = 64, TAG_WRITE = URING_BATCH };

struct loop_uring {
	struct io_uring ring;
	unsigned write_count; /* queued, not submitted */
	uint8_t hdrs[URING_BATCH][URING_HDR];
	struct iovec iov[URING_BATCH][2];
	int results[URING_BATCH];
	uint8_t bufs[URING_BATCH][URING_BUF];
};

static int open_uring(struct loop_dev *dev)
{
	struct loop_uring *u = calloc(1, sizeof(*u));
	struct iovec bufs;
	int rc;

	if (!u)
		return complain("memory", ENOMEM);
	dev->uring = u;
	rc = io_uring_queue_init(4 * URING_BATCH, &u->ring, IORING_SETUP_COOP_TASKRUN);
	if (rc < 0)
		return complain("io_uring", -rc);
	rc = io_uring_register_files(&u->ring, &dev->fd, 1);
	bufs = (struct iovec){.iov_base = u->bufs, .iov_len = sizeof(u->bufs)};
	if (rc >= 0)
		rc = io_uring_register_buffers(&u->ring, &bufs, 1);
	return rc < 0 ? complain("io_uring registration", -rc) : 0;
}

/* The ring has room for more than all that is ever queued. */
static struct io_uring_sqe *get_sqe(struct loop_uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe)
		abort();
	return sqe;
}

/* Submits what is queued and takes in all completions, those of reads into 'results'. */
static void run_uring(struct loop_uring *u, unsigned count)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	unsigned seen = 0;

	if (count == 0 || io_uring_submit_and_wait(&u->ring, count) < 0)
		return;
	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		if (cqe->user_data < URING_BATCH)
			u->results[cqe->user_data] = cqe->res;
		seen++;
	}
	io_uring_cq_advance(&u->ring, seen);
	u->write_count = 0;
}

static int read_uring(struct loop_dev *dev, int max, loop_frame_fn *fn, void *ctx)
{
	struct loop_uring *u = dev->uring;
	int wanted = max < URING_BATCH ? max : URING_BATCH;
	int got = 0;

	for (int i = 0; i < wanted; i++) {
		struct io_uring_sqe *sqe = get_sqe(u);

		u->results[i] = -EAGAIN;
		io_uring_prep_read_fixed(sqe, 0, u->bufs[i], URING_BUF, 0, 0);
		io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
		/* O_NONBLOCK alone would leave the reads in the kernel, waiting. */
		sqe->rw_flags = RWF_NOWAIT;
		sqe->user_data = (unsigned)i;
	}
	run_uring(u, (unsigned)wanted + u->write_count);
	for (int i = 0; i < wanted; i++) {
		if (u->results[i] <= 0)
			continue;
		fn(ctx, u->bufs[i], (size_t)u->results[i]);
		got++;
	}
	return got;
}

static void write_uring(struct loop_dev *dev, const uint8_t *hdr, const struct iovec *payload)
{
	struct loop_uring *u = dev->uring;
	struct io_uring_sqe *sqe;
	unsigned slot;

	if (u->write_count == URING_BATCH)
		run_uring(u, u->write_count);
	slot = u->write_count++;
	memcpy(u->hdrs[slot], hdr, LOOP_HDR_SIZE);
	u->iov[slot][0] = (struct iovec){.iov_base = u->hdrs[slot], .iov_len = LOOP_HDR_SIZE};
	u->iov[slot][1] = *payload;
	sqe = get_sqe(u);
	io_uring_prep_writev(sqe, 0, u->iov[slot], payload->iov_len > 0 ? 2 : 1, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	sqe->user_data = TAG_WRITE;
}

static void close_uring(struct loop_uring *u)
{
	/* The ring ends some time after the process: it must not hold the interface until then. */
	(void)io_uring_unregister_files(&u->ring);
	(void)io_uring_unregister_buffers(&u->ring);
	io_uring_queue_exit(&u->ring);
	free(u);
}
#else
static int open_uring(struct loop_dev *dev)
{
	(void)dev;
	return complain("--io uring", ENOTSUP);
}

static int read_uring(struct loop_dev *dev, int max, loop_frame_fn *fn, void *ctx)
{
	(void)dev, (void)max, (void)fn, (void)ctx;
	return 0;
}

static void write_uring(struct loop_dev *dev, const uint8_t *hdr, const struct iovec *payload)
{
	(void)dev, (void)hdr, (void)payload;
}

static void close_uring(struct loop_uring *u)
{
	(void)u;
}
#endif

/* ---- Opening. ---- */

enum { FRAME_ALIGN = 2048 };

/* What the largest frame takes. */
static size_t frame_room(const struct loop_options *opt)
{
	size_t size = opt->has_offload ? LOOP_FRAME_MAX : opt->mtu;

	return (size + FRAME_ALIGN - 1) / FRAME_ALIGN * FRAME_ALIGN;
}

static int open_queue(struct loop_dev *dev, const struct loop_options *opt)
{
	unsigned flags = IFF_TUN | IFF_NO_PI;
	struct ifreq ifr = {0};

	dev->vnet_size = opt->has_offload ? LOOP_VNET_SIZE : 0;
	dev->count = opt->buffers;
	dev->stride = frame_room(opt);
	dev->buf = aligned_alloc(FRAME_ALIGN, dev->stride * dev->count);
	if (!dev->buf)
		return complain("memory", ENOMEM);
	memset(dev->buf, 0, dev->stride * dev->count);
	dev->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (dev->fd < 0)
		return complain("open /dev/net/tun", errno);
	flags |= opt->has_offload ? IFF_VNET_HDR : 0;
	flags |= opt->queues > 1 ? IFF_MULTI_QUEUE : 0;
	flags |= opt->io == LOOP_NAPI ? IFF_NAPI : 0;
	ifr.ifr_flags = (short)flags;
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", opt->tun_name);
	if (ioctl(dev->fd, TUNSETIFF, &ifr) < 0)
		return complain(opt->tun_name, errno);
	if (opt->has_offload &&
	    ioctl(dev->fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4)) < 0)
		return complain("offload", errno);
	return opt->io == LOOP_URING ? open_uring(dev) : 0;
}

int loop_dev_open(struct loop_dev devs[LOOP_QUEUES_MAX], const struct loop_options *opt)
{
	char text[256] = "";
	const struct why why = {.text = text, .size = sizeof(text)};
	struct nl_setup setup = {.name = opt->tun_name, .mtu = opt->mtu};

	for (unsigned i = 0; i < opt->queues; i++)
		if (open_queue(&devs[i], opt) < 0)
			return -1;
	setup.index = if_nametoindex(opt->tun_name);
	if (nl_parse(&setup.v4, 4, opt->peer, opt->addr, &why) == 0 &&
	    nl_setup_link(&setup, &why) == 0)
		return 0;
	(void)fprintf(stderr, "tunloop: %s\n", text);
	return -1;
}

void loop_dev_close(struct loop_dev *dev)
{
	if (dev->uring)
		close_uring(dev->uring);
	if (dev->fd >= 0)
		(void)close(dev->fd);
	free(dev->buf);
}

/* ---- Reading and writing. ---- */

int loop_dev_read(struct loop_dev *dev, int max, loop_frame_fn *fn, void *ctx)
{
	if (dev->uring)
		return read_uring(dev, max, fn, ctx);
	for (int i = 0; i < max; i++) {
		uint8_t *buf = dev->buf + dev->stride * dev->next;
		ssize_t size = read(dev->fd, buf, dev->stride);

		if (size <= (ssize_t)dev->vnet_size)
			return i;
		dev->next = (dev->next + 1) % dev->count;
		fn(ctx, buf + dev->vnet_size, (size_t)size - dev->vnet_size);
	}
	return max;
}

void loop_dev_write(struct loop_dev *dev, const uint8_t *hdr, const void *payload, size_t size,
		    uint16_t gso_size, bool is_partial)
{
	struct virtio_net_hdr vnet = {0};

	union {
		const void *from;
		void *to; /* writev only reads it */
	} bytes[2] = {{.from = hdr}, {.from = payload}};
	struct iovec iov[3] = {
		{.iov_base = &vnet, .iov_len = dev->vnet_size},
		{.iov_base = bytes[0].to, .iov_len = LOOP_HDR_SIZE},
		{.iov_base = bytes[1].to, .iov_len = size},
	};

	if (dev->uring) {
		write_uring(dev, hdr, &iov[2]);
		return;
	}
	if (is_partial) {
		vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet.csum_start = 20;
		vnet.csum_offset = 16;
		vnet.hdr_len = LOOP_HDR_SIZE;
	}
	if (gso_size > 0) {
		vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		vnet.gso_size = gso_size;
	}
	/* What the device refuses is lost, as on a wire. */
	ssize_t rc = dev->vnet_size > 0 ? writev(dev->fd, iov, 3) : writev(dev->fd, iov + 1, 2);
	(void)rc;
}
