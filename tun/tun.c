/*
 * The Linux TUN device.  A stack's RX thread reads, its emitter writes, anyone wakes; opening and
 * closing is the business of the thread that owns the stack, after both have ended.
 *
 * With offloads each packet carries a virtio-net header (vnet.c).  Every step of asking for them may
 * be refused - by an old kernel or for a descriptor made by someone else - and is then done without.
 *
 * Reading tries the descriptor first and polls it together with an eventfd (the wake) only when it
 * is empty: under load no poll is made.  Two seats, for the RX thread and a leader, each with an
 * epoll set that watches the descriptor exclusively: the kernel wakes one of them.  An interface that
 * is down loses what is written to it; one that was deleted (EBADFD) ends the device with -ENODEV; a packet that
 * cannot be read is lost alone.
 *
 * With several queues (IFF_MULTI_QUEUE) each is a struct tun with descriptors of its own; the first one
 * is the device and owns the others.  The kernel chooses the queue that a packet is read from: it
 * remembers for a few thousand flows which queue was written to last, and hashes for all others.
 *
 * config->fd must be -1 when no descriptor is given: 0 is a descriptor like any other.
 * weft_stack_open sets it.
 */
#include "net/base/check.h"
#include "tun/deadline.h"
#include "tun/dev_fail.h"
#include "tun/iov.h"
#include "tun/netlink.h"
#include "tun/vnet.h"
#include "tun/why.h"
#include "weft/dev.h"
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20 /* <linux/if_tun.h> has them since 6.2 */
#define TUN_F_USO6 0x40
#endif

enum {
	TUN_MTU_DEFAULT = 1500,
	TUN_MTU_MIN = 1280,
	TUN_MTU_MAX = 65535,
	TUN_IOV_MAX = 64, /* pieces of a packet that are passed on as they are */
};

/* Where a thread sleeps for packets. */
struct seat {
	int epoll_fd; /* the interface's descriptor and wake_fd */
	int wake_fd;  /* eventfd */
};

struct tun {
	struct weft_dev dev;
	/* Immutable after opening. */
	int fd;
	struct seat seat[2]; /* by enum weft_seat */
	size_t hdr_size;     /* bytes before each packet: 0, 10 or 12 */
	char name[IFNAMSIZ];
	struct tun *queue[WEFT_DEV_QUEUES_MAX]; /* of the first one: itself, then the others */
	/* The writer's. */
	uint8_t flat[TUN_MTU_MAX]; /* a packet of more than TUN_IOV_MAX pieces */
};

static struct tun *tun_of(struct weft_dev *dev)
{
	return CONTAINER_OF(dev, struct tun, dev);
}

/* Deleting the interface shows as EBADFD; everyone else knows that as ENODEV. */
static int device_error(int err)
{
	return err == EBADFD || err == EBADF ? -ENODEV : -err;
}

/* One packet with its header as it comes; as read. */
static ssize_t read_raw(const struct tun *t, uint8_t *hdr, const struct weft_pkt *pkt)
{
	struct iovec
		iov[1 + TUN_IOV_MAX]; /* not cleared: that would cost more than the call's rest */
	uint32_t pieces = pkt->iov_count < TUN_IOV_MAX ? pkt->iov_count : TUN_IOV_MAX;

	/* Without a header there is nothing to gather: a tenth of a small packet's price. */
	if (t->hdr_size == 0 && pieces == 1)
		return read(t->fd, pkt->iov->iov_base, pkt->iov->iov_len);
	iov[0] = (struct iovec){.iov_base = hdr, .iov_len = t->hdr_size};
	memcpy(iov + 1, pkt->iov, pieces * sizeof(iov[0]));
	return readv(t->fd, iov, (int)pieces + 1);
}

/*
 * What it means that a read failed, as read_packet.  An offload that the header cannot tell (the kernel logs
 * "unexpected GSO type") or a lack of memory cost the packet, which the kernel has thrown away: others follow.
 */
static int read_failed(struct weft_pkt *pkt, int error)
{
	switch (error) {
	case EAGAIN:
		return 0;
	case EINVAL:
	case EFAULT:
	case ENOMEM:
		pkt->flags = WEFT_PKT_BAD;
		return 1;
	default:
		return device_error(error);
	}
}

/* Reads one packet: 1, 0 when there is none, or a negative errno. */
static int read_packet(struct tun *t, struct weft_pkt *pkt)
{
	uint8_t hdr[VNET_HDR_SIZE_MRG];
	ssize_t size;

	do
		size = read_raw(t, hdr, pkt);
	while (size < 0 && errno == EINTR);
	pkt->flags = 0;
	pkt->gso_size = 0;
	pkt->len = 0;
	if (size < 0)
		return read_failed(pkt, errno);
	if ((size_t)size <= t->hdr_size) {
		pkt->flags = WEFT_PKT_BAD;
		return 1;
	}
	pkt->len = (uint32_t)((size_t)size - t->hdr_size);
	if (t->hdr_size > 0) {
		struct virtio_net_hdr h;

		memcpy(&h, hdr, sizeof(h));
		vnet_decode(&h, pkt);
	}
	return 1;
}

static int read_batch(struct tun *t, struct weft_pkt *pkts, int count)
{
	for (int i = 0; i < count; i++) {
		int rc = read_packet(t, &pkts[i]);

		if (rc == 0 || (rc < 0 && i > 0))
			return i;
		if (rc < 0)
			return rc;
	}
	return count;
}

/* The wake is used up.  EAGAIN would do no harm. */
static void drain_wake(const struct seat *seat)
{
	uint64_t wakes;
	ssize_t rc = read(seat->wake_fd, &wakes, sizeof(wakes));

	(void)rc;
}

enum { WAIT_MAX_MS = 3600 * 1000 }; /* and then for no reason */

/* epoll_pwait2 in milliseconds, rounded up: for kernels before 5.11, and filters that do not know it. */
static int wait_ms(int epoll_fd, struct epoll_event *events, int count, int64_t left_us)
{
	int64_t ms = left_us / US_PER_MS + (left_us % US_PER_MS != 0);

	return epoll_wait(epoll_fd, events, count, ms < WAIT_MAX_MS ? (int)ms : WAIT_MAX_MS);
}

/* epoll_wait, 'left_us' negative: for ever. */
static int wait_us(int epoll_fd, struct epoll_event *events, int count, int64_t left_us)
{
	const struct timespec ts = {.tv_sec = left_us / US_PER_S,
				    .tv_nsec = left_us % US_PER_S * 1000};

	if (left_us < 0)
		return epoll_wait(epoll_fd, events, count, -1);
	int ready = epoll_pwait2(epoll_fd, events, count, &ts, NULL);

	return ready < 0 && (errno == ENOSYS || errno == EPERM)
		       ? wait_ms(epoll_fd, events, count, left_us)
		       : ready;
}

/* Waits until the descriptor may be readable: 1, 0 when the time is up or woken, or -errno. */
static int wait_readable(struct tun *t, enum weft_seat which, weft_time_us deadline)
{
	const struct seat *seat = &t->seat[which];
	struct epoll_event events[2];
	int ready = wait_us(seat->epoll_fd, events, 2, deadline_left(deadline));
	bool has_packet = false;

	if (ready < 0)
		return errno == EINTR ? 1 : -errno;
	for (int i = 0; i < ready; i++) {
		if (events[i].data.fd == seat->wake_fd)
			drain_wake(seat);
		else
			has_packet = true;
	}
	return has_packet;
}

static int tun_wait(struct weft_dev *dev, enum weft_seat seat, int64_t timeout_us)
{
	return wait_readable(tun_of(dev), seat, deadline_after(timeout_us));
}

static int tun_read(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout_us)
{
	struct tun *t = tun_of(dev);
	int got = read_batch(t, pkts, count);

	if (got != 0 || timeout_us == 0)
		return got;
	weft_time_us deadline = deadline_after(timeout_us);
	do {
		int rc = wait_readable(t, WEFT_SEAT_READER, deadline);
		if (rc <= 0)
			return rc;
		got = read_batch(t, pkts, count);
	} while (got == 0);
	return got;
}

/* Taken and lost. */
static int refuse(struct tun *t, const struct weft_pkt *pkt)
{
	t->dev.write_refused++;
	t->dev.write_refused_bytes += pkt->len;
	return 1;
}

/* Writes one packet: 1 when it is taken or lost, 0 when the device is full, or a final -errno. */
static int write_packet(struct tun *t, const struct weft_pkt *pkt)
{
	struct virtio_net_hdr h[2] = {{0}}; /* the second one only covers VNET_HDR_SIZE_MRG */
	struct iovec iov[1 + TUN_IOV_MAX];  /* not cleared, see read_raw */
	int pieces = (int)pkt->iov_count;
	ssize_t size;

	if (t->hdr_size > 0 && vnet_encode(&h[0], pkt) < 0)
		return refuse(t, pkt);
	if (t->hdr_size == 0 && ((pkt->flags & WEFT_PKT_CSUM_PARTIAL) || pkt->gso_size > 0))
		return refuse(t, pkt);
	iov[0] = (struct iovec){.iov_base = h, .iov_len = t->hdr_size};
	if (pkt->iov_count > TUN_IOV_MAX) {
		iov[1].iov_base = t->flat;
		iov[1].iov_len = iov_gather(pkt, t->flat, sizeof(t->flat));
		pieces = 1;
	} else {
		memcpy(iov + 1, pkt->iov, pkt->iov_count * sizeof(iov[0]));
	}
	do
		size = writev(t->fd, iov, pieces + 1);
	while (size < 0 && errno == EINTR);
	if (size >= 0)
		return 1;
	switch (errno) {
	case EAGAIN:
		return 0;
	case EBADF:
	case EBADFD:
	case ENODEV:
		return -ENODEV;
	default: /* the interface is down (EIO), no memory, or a packet it does not like */
		return refuse(t, pkt);
	}
}

static int tun_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	struct tun *t = tun_of(dev);

	for (int i = 0; i < count; i++) {
		int rc = write_packet(t, &pkts[i]);

		if (rc == 0 || (rc < 0 && i > 0))
			return i;
		if (rc < 0)
			return rc;
	}
	return count;
}

static void wake_seat(const struct seat *seat)
{
	uint64_t one = 1;
	/* Fails only when 2^64 - 2 wakes are pending, which is awake enough. */
	ssize_t rc = write(seat->wake_fd, &one, sizeof(one));

	(void)rc;
}

static void tun_wake(struct weft_dev *dev)
{
	wake_seat(&tun_of(dev)->seat[WEFT_SEAT_READER]);
}

static void tun_wake_leader(struct weft_dev *dev)
{
	wake_seat(&tun_of(dev)->seat[WEFT_SEAT_LEADER]);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void close_seats(struct tun *t)
{
	for (int i = 0; i < 2; i++) {
		close_fd(t->seat[i].epoll_fd);
		close_fd(t->seat[i].wake_fd);
	}
}

static struct weft_dev *tun_queue(struct weft_dev *dev, uint32_t index)
{
	struct tun *t = tun_of(dev);

	return index < WEFT_DEV_QUEUES_MAX && t->queue[index] ? &t->queue[index]->dev : NULL;
}

static void free_one(struct tun *t)
{
	close_seats(t);
	close_fd(t->fd);
	free(t);
}

/* Frees the device with its queues, some of which may not be open yet. */
static void tun_free(struct tun *t)
{
	for (unsigned i = 1; i < WEFT_DEV_QUEUES_MAX; i++)
		if (t->queue[i])
			free_one(t->queue[i]);
	free_one(t);
}

static void tun_close(struct weft_dev *dev)
{
	tun_free(tun_of(dev));
}

/* One queue without a descriptor of the interface; NULL with the reason in '*rc'. */
static struct tun *tun_new(const struct why *why, int *rc)
{
	struct tun *t = calloc(1, sizeof(*t));

	if (!t) {
		*rc = why_set(why, -ENOMEM, "make a TUN device");
		return NULL;
	}
	t->dev = (struct weft_dev){
		.name = t->name,
		.read = tun_read,
		.write = tun_write,
		.wake = tun_wake,
		.close = tun_close,
		.wait = tun_wait,
		.wake_leader = tun_wake_leader,
	};
	t->queue[0] = t;
	t->fd = -1;
	for (int i = 0; i < 2; i++)
		t->seat[i] = (struct seat){.epoll_fd = -1, .wake_fd = -1};
	return t;
}

static int watch(int epoll_fd, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_seat(struct seat *seat, int fd)
{
	seat->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	seat->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (seat->epoll_fd < 0 || seat->wake_fd < 0)
		return -errno;
	int rc = watch(seat->epoll_fd, seat->wake_fd, EPOLLIN);

	return rc < 0 ? rc : watch(seat->epoll_fd, fd, EPOLLIN | EPOLLEXCLUSIVE);
}

/*
 * The leader's seat first: the kernel wakes the first exclusive waiter in the order of registration,
 * and an epoll set in which nobody sleeps passes the wake on to the next.
 */
static int open_seats(struct tun *t, const struct why *why)
{
	int rc = open_seat(&t->seat[WEFT_SEAT_LEADER], t->fd);

	if (rc == 0)
		rc = open_seat(&t->seat[WEFT_SEAT_READER], t->fd);
	return rc < 0 ? why_set(why, rc, "watch the interface's descriptor") : 0;
}

/* Settles header size and offloads of a descriptor with IFF_VNET_HDR. */
static int enable_offload(struct tun *t, bool no_offload, const struct why *why)
{
	int size = VNET_HDR_SIZE;

	if (ioctl(t->fd, TUNSETVNETHDRSZ, &size) < 0 &&
	    (ioctl(t->fd, TUNGETVNETHDRSZ, &size) < 0 ||
	     (size != VNET_HDR_SIZE && size != VNET_HDR_SIZE_MRG)))
		return why_set(why, -EINVAL, "virtio-net header size %d", size);
	t->hdr_size = (size_t)size;
	if (no_offload) {
		/* A descriptor with the header was given: have nothing of it but the bytes. */
		if (ioctl(t->fd, TUNSETOFFLOAD, 0UL) < 0)
			return why_set(why, -errno, "turn offloads of %s off", t->name);
		return 0;
	}
	/* What is written may always use the header; what is read needs the kernel's consent. */
	t->dev.flags = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6;
	unsigned long all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	/* A kernel that knows UDP's offload (6.2) knows the header for it, too. */
	if (ioctl(t->fd, TUNSETOFFLOAD, all | TUN_F_USO4 | TUN_F_USO6) == 0)
		t->dev.flags |= WEFT_DEV_RX_GSO | WEFT_DEV_TX_USO4 | WEFT_DEV_TX_USO6;
	else if (ioctl(t->fd, TUNSETOFFLOAD, all) == 0)
		t->dev.flags |= WEFT_DEV_RX_GSO;
	else
		(void)ioctl(t->fd, TUNSETOFFLOAD, (unsigned long)TUN_F_CSUM);
	return 0;
}

/* Opens a descriptor of interface 'name', which the first one makes; 'extra' are further flags. */
static int open_queue(struct tun *t, const char *name, short extra, const struct why *why)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0)
		return why_set(why, -errno, "open /dev/net/tun");

	bool vnet = extra & IFF_VNET_HDR;
	ifr.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | extra);
	int rc = ioctl(t->fd, TUNSETIFF, &ifr);
	if (rc < 0 && vnet && errno == EINVAL) {
		vnet = false;
		ifr.ifr_flags = (short)(ifr.ifr_flags & ~IFF_VNET_HDR);
		rc = ioctl(t->fd, TUNSETIFF, &ifr);
	}
	if (rc < 0)
		return why_set(why, -errno, "create TUN interface %s", name);
	memcpy(t->name, ifr.ifr_name, sizeof(t->name));
	return vnet ? enable_offload(t, false, why) : 0;
}

/* Queues 1 to 'count' - 1 of the interface that queue 0 has made. */
static int add_queues(struct tun *t, uint32_t count, const struct why *why)
{
	short extra = (short)(IFF_MULTI_QUEUE | (t->hdr_size > 0 ? IFF_VNET_HDR : 0));
	int rc = 0;

	for (uint32_t i = 1; i < count && rc == 0; i++) {
		t->queue[i] = tun_new(why, &rc);
		if (t->queue[i])
			rc = open_queue(t->queue[i], t->name, extra, why);
		if (rc == 0 && t->queue[i]->hdr_size != t->hdr_size)
			rc = why_set(why, -EINVAL, "queues of %s are not alike", t->name);
	}
	t->dev.queue_count = count;
	t->dev.queue = tun_queue;
	return rc;
}

static int create_interface(struct tun *t, const struct weft_tun_config *config,
			    const struct why *why)
{
	const char *name = config->name ? config->name : "";
	int extra = config->no_offload ? 0 : IFF_VNET_HDR;
	bool is_multi = config->queues > 1;

	if (strlen(name) >= IFNAMSIZ)
		return why_set(why, -EINVAL, "interface name \"%.60s\" has more than %d characters",
			       name, IFNAMSIZ - 1);
	if (is_multi)
		extra |= IFF_MULTI_QUEUE;
	int rc = open_queue(t, name, (short)extra, why);

	return rc == 0 && is_multi ? add_queues(t, config->queues, why) : rc;
}

/* Takes over the caller's descriptor. */
static int adopt_interface(struct tun *t, const struct weft_tun_config *config,
			   const struct why *why)
{
	struct ifreq ifr = {0};

	if (ioctl(config->fd, TUNGETIFF, &ifr) < 0)
		return why_set(why, -errno, "descriptor %d is not a TUN interface", config->fd);
	unsigned flags = (unsigned short)ifr.ifr_flags;
	if (!(flags & IFF_TUN) || !(flags & IFF_NO_PI))
		return why_set(why, -EINVAL, "interface %s is not IFF_TUN with IFF_NO_PI",
			       ifr.ifr_name);
	int status = fcntl(config->fd, F_GETFL);
	if (status < 0 || fcntl(config->fd, F_SETFL, status | O_NONBLOCK) < 0)
		return why_set(why, -errno, "make descriptor %d non-blocking", config->fd);
	t->fd = config->fd;
	memcpy(t->name, ifr.ifr_name, sizeof(t->name));
	return flags & IFF_VNET_HDR ? enable_offload(t, config->no_offload != 0, why) : 0;
}

/* The MTU of interface 'name', or the default when it is not in this network namespace. */
static uint32_t interface_mtu(const char *name)
{
	struct ifreq ifr = {0};
	uint32_t mtu = TUN_MTU_DEFAULT;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu >= TUN_MTU_MIN)
		mtu = (uint32_t)ifr.ifr_mtu;
	if (fd >= 0)
		close(fd);
	return mtu < TUN_MTU_MAX ? mtu : TUN_MTU_MAX;
}

/* Opens the interface as configured; on failure t->fd may be open. */
static int open_interface(struct tun *t, const struct weft_tun_config *config,
			  const struct why *why)
{
	struct nl_setup setup = {.name = t->name, .mtu = t->dev.mtu};
	int rc = nl_parse(&setup.v4, 4, config->peer4, config->addr4, why);

	if (rc == 0)
		rc = nl_parse(&setup.v6, 6, config->peer6, config->addr6, why);
	if (rc < 0)
		return rc;
	if (config->fd >= 0) {
		rc = adopt_interface(t, config, why);
		if (rc == 0 && t->dev.mtu == 0)
			t->dev.mtu = interface_mtu(t->name);
		return rc;
	}
	if (setup.mtu == 0)
		setup.mtu = TUN_MTU_DEFAULT;
	t->dev.mtu = setup.mtu;
	rc = create_interface(t, config, why);
	if (rc < 0)
		return rc;
	setup.index = if_nametoindex(t->name);
	if (setup.index == 0)
		return why_set(why, -errno, "find interface %s", t->name);
	return nl_setup_link(&setup, why);
}

struct weft_dev *weft_dev_tun(const struct weft_tun_config *config, char *why_text, size_t why_size)
{
	struct why why = {.text = why_text, .size = why_size};

	if (config->mtu != 0 && (config->mtu < TUN_MTU_MIN || config->mtu > TUN_MTU_MAX))
		return dev_fail(why_set(&why, -EINVAL, "MTU %u", config->mtu));
	if (config->queues > WEFT_DEV_QUEUES_MAX)
		return dev_fail(why_set(&why, -EINVAL, "%u queues", config->queues));
	if (config->queues > 1 && config->fd >= 0)
		return dev_fail(why_set(&why, -EINVAL, "%u queues with a given descriptor",
					config->queues));
	int rc = 0;
	struct tun *t = tun_new(&why, &rc);
	if (!t)
		return dev_fail(rc);
	t->dev.mtu = config->mtu;
	rc = open_interface(t, config, &why);
	for (uint32_t i = 0; i < WEFT_DEV_QUEUES_MAX && rc == 0; i++)
		rc = t->queue[i] ? open_seats(t->queue[i], &why) : 0;
	if (rc == 0)
		return &t->dev;
	/* A descriptor that was given stays the caller's on failure. */
	if (t->fd == config->fd)
		t->fd = -1;
	tun_free(t);
	return dev_fail(rc);
}
