/*
 * A device that writes a copy of all traffic to a pcapng file.  The emitter writes and the RX thread
 * reads through it; the file is guarded by a mutex, which is held while packets are handed to the
 * lower device, too: so a packet stands in the file before the answer to it.
 *
 * The copy is what the packet would be on a wire with a large enough MTU: partial checksums are
 * completed, and a super-packet is one packet whose IP length is right.  Each batch is flushed, so
 * that the file can be read while it grows.  When the file cannot be written any more it ends, and
 * the traffic goes on.  On failure of the constructor 'lower' stays the caller's.
 */
#include "net/base/bytes.h"
#include "net/base/check.h"
#include "net/base/sync.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include "tun/dev_fail.h"
#include "tun/iov.h"
#include "tun/pcapng.h"
#include "weft/dev.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { CAPTURE_PKT_MAX = 65535 + 64 };

struct capture {
	struct weft_dev dev;
	struct weft_dev *lower; /* immutable */

	struct mutex mu;
	/* Guarded by mu. */
	FILE *file; /* NULL after an error */
	uint8_t block[PCAPNG_EPB_HEAD + CAPTURE_PKT_MAX + PCAPNG_EPB_TAIL_MAX];
};

static struct capture *capture_of(struct weft_dev *dev)
{
	return CONTAINER_OF(dev, struct capture, dev);
}

static weft_time_us wall_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (weft_time_us)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

/* Makes the IP header of a super-packet agree with its size. */
static void fix_ip_length(uint8_t *p, size_t size)
{
	if (p[0] >> 4 == 6) {
		if (size >= IP6_HDR_SIZE)
			put_be16(p + 4, (uint16_t)(size - IP6_HDR_SIZE));
		return;
	}
	size_t hdr_len = (p[0] & 0x0fu) * 4u;
	if (hdr_len < IP4_HDR_SIZE || hdr_len > size || size > UINT16_MAX)
		return;
	put_be16(p + 2, (uint16_t)size);
	put_be16(p + 10, 0);
	put_be16(p + 10, csum_finish(csum_add(0, p, hdr_len)));
}

static void record(struct capture *c, const struct weft_pkt *pkt, enum pcapng_direction direction)
	REQUIRES(&c->mu)
{
	uint8_t *bytes = c->block + PCAPNG_EPB_HEAD;

	if (!c->file)
		return;
	size_t size = iov_gather(pkt, bytes, CAPTURE_PKT_MAX);
	if (pkt->gso_size > 0 && size > 0)
		fix_ip_length(bytes, size);
	if (pkt->flags & WEFT_PKT_CSUM_PARTIAL)
		csum_complete(bytes, size, pkt->csum_start, pkt->csum_offset);
	pcapng_packet_head(c->block, size, wall_clock());
	size_t block_size = PCAPNG_EPB_HEAD + size;
	block_size += pcapng_packet_tail(c->block + block_size, size, direction);
	if (fwrite(c->block, block_size, 1, c->file) != 1) {
		fclose(c->file);
		c->file = NULL;
	}
}

static void record_all(struct capture *c, const struct weft_pkt *pkts, int count,
		       enum pcapng_direction direction) REQUIRES(&c->mu)
{
	for (int i = 0; i < count; i++)
		record(c, &pkts[i], direction);
	if (c->file && count > 0 && fflush(c->file) != 0) {
		fclose(c->file);
		c->file = NULL;
	}
}

static int capture_read(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout_us)
{
	struct capture *c = capture_of(dev);
	int got = c->lower->read(c->lower, pkts, count, timeout_us);

	if (got > 0) {
		mutex_lock(&c->mu);
		record_all(c, pkts, got, PCAPNG_IN);
		mutex_unlock(&c->mu);
	}
	return got;
}

static void pass_refused(struct capture *c)
{
	c->dev.write_refused = c->lower->write_refused;
	c->dev.write_refused_bytes = c->lower->write_refused_bytes;
}

static int capture_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	struct capture *c = capture_of(dev);

	mutex_lock(&c->mu);
	int taken = c->lower->write(c->lower, pkts, count);
	pass_refused(c);
	record_all(c, pkts, taken, PCAPNG_OUT);
	mutex_unlock(&c->mu);
	return taken;
}

static void capture_wake(struct weft_dev *dev)
{
	struct capture *c = capture_of(dev);

	c->lower->wake(c->lower);
}

static void capture_close(struct weft_dev *dev)
{
	struct capture *c = capture_of(dev);

	c->lower->close(c->lower);
	if (c->file)
		fclose(c->file);
	mutex_fini(&c->mu);
	free(c);
}

/*
 * Opens the file with its header in it.  For reading, too: on a FIFO that spares us SIGPIPE, because
 * the FIFO then has a reader as long as we live.
 */
static int open_file(const char *path, const char *name, FILE **file)
{
	uint8_t header[PCAPNG_HEADER_MAX];
	size_t size = pcapng_header(header, name ? name : "");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	FILE *f = fdopen(fd, "w");
	if (!f) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	if (fwrite(header, size, 1, f) != 1 || fflush(f) != 0) {
		int rc = -errno;

		fclose(f);
		return rc;
	}
	*file = f;
	return 0;
}

struct weft_dev *weft_dev_capture(struct weft_dev *lower, const char *path)
{
	/* A packet of another queue would pass by. */
	if (!lower || !path || lower->queue_count > 1)
		return dev_fail(-EINVAL);
	struct capture *c = calloc(1, sizeof(*c));
	if (!c)
		return dev_fail(-ENOMEM);
	int rc = open_file(path, lower->name, &c->file);
	if (rc < 0) {
		free(c);
		return dev_fail(rc);
	}
	mutex_init(&c->mu);
	c->lower = lower;
	c->dev = (struct weft_dev){
		.name = lower->name,
		.mtu = lower->mtu,
		.flags = lower->flags,
		.read = capture_read,
		.write = capture_write,
		.wake = capture_wake,
		.close = capture_close,
	};
	pass_refused(c); /* of before */
	return &c->dev;
}
