/*
 * weft/dev.h - a packet device: what carries IP packets in and out of a stack.
 *
 * weft brings a Linux TUN device and an in-memory pair; a program may bring its own (a VPN tunnel,
 * a simulator, a test) by filling in a struct weft_dev.
 */
#ifndef WEFT_DEV_H
#define WEFT_DEV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifndef WEFT_API
#define WEFT_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What a device can do; the stack does in software what is missing. */
enum weft_dev_flags {
	/* write: takes packets whose TCP or UDP checksum is partial (WEFT_PKT_CSUM_PARTIAL). */
	WEFT_DEV_TX_CSUM = 1 << 0,
	/* write: takes TCP packets of up to 64 KiB to be cut into gso_size pieces. */
	WEFT_DEV_TX_TSO4 = 1 << 1,
	WEFT_DEV_TX_TSO6 = 1 << 2,
	/*
	 * read: may deliver TCP packets larger than the MTU, and UDP packets that stand for several
	 * datagrams, with gso_size.
	 */
	WEFT_DEV_RX_GSO = 1 << 3,
	/* write: takes UDP packets of up to 65,535 bytes to be cut into datagrams of gso_size. */
	WEFT_DEV_TX_USO4 = 1 << 4,
	WEFT_DEV_TX_USO6 = 1 << 5,
};

enum weft_pkt_flags {
	/* The checksum field holds the pseudo-header's sum only; csum_start, csum_offset valid. */
	WEFT_PKT_CSUM_PARTIAL = 1 << 0,
	/* read: whoever delivered the packet vouches for its transport checksum. */
	WEFT_PKT_CSUM_VALID = 1 << 1,
	/* read: malformed offload information; the stack drops the packet and counts it. */
	WEFT_PKT_BAD = 1 << 2,
};

/* One raw IP packet, in pieces. */
struct weft_pkt {
	struct iovec *iov;   /* read: where to put it, set by the caller; write: where it is */
	uint32_t iov_count;  /* number of pieces; read: 1 or more */
	uint32_t len;        /* bytes of the whole packet; read: set by the device */
	uint32_t flags;      /* enum weft_pkt_flags */
	uint16_t gso_size;   /* payload bytes per piece when the packet is to be cut; else 0 */
	uint16_t hdr_len;    /* with gso_size: bytes of IP and TCP or UDP header */
	uint16_t csum_start; /* with CSUM_PARTIAL: offset of the transport header */
	uint16_t
		csum_offset; /* with CSUM_PARTIAL: offset of the checksum field behind csum_start */
};

/* Who waits for packets: the stack's RX thread, or a thread of the application in its place. */
enum weft_seat { WEFT_SEAT_READER, WEFT_SEAT_LEADER };

/*
 * A device.  The stack calls read from one thread (its RX thread) and write from one thread at a
 * time, not always the same (its emitter); wake may come from any thread.  Of a device with several
 * queues that holds for each queue.  All functions return a negative errno on failure and must not
 * raise signals.
 */
struct weft_dev {
	/* Immutable while a stack uses the device. */
	const char *name;
	uint32_t mtu;   /* largest IP packet, bytes; 1280 to 65535 */
	uint32_t flags; /* enum weft_dev_flags */

	/*
	 * Reads up to 'count' packets into 'pkts' and returns how many.  Waits for the first one until
	 * it comes, 'timeout_us' microseconds passed (0: do not wait; negative: no limit) or wake was
	 * called; returns 0 then.  Each packet's iov has room for 'mtu' bytes, for 65,535 + 64 with
	 * WEFT_DEV_RX_GSO.  -ENODEV or another error ends the reading for good; when no queue is left the
	 * stack's sockets end with ENODEV.
	 */
	int (*read)(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout_us);

	/*
	 * Writes 'count' packets in order; returns how many were taken: a packet that the device
	 * refuses counts as taken and lost (write_refused), as on any network.  Fewer than 'count'
	 * (or -EAGAIN) means that the device is full now.  The bytes belong to the caller again when
	 * the call returns.
	 */
	int (*write)(struct weft_dev *dev, const struct weft_pkt *pkts, int count);

	/* Makes a waiting read, or the next one that waits, return 0 soon.  Any thread; never blocks. */
	void (*wake)(struct weft_dev *dev);

	/* Ends the device and frees what belongs to it, the struct itself if need be. */
	void (*close)(struct weft_dev *dev);

	/* Optional members; all zero: a device without what they are for. */

	/*
	 * Leaders: both or none.  With them a thread that waits for a socket may read packets itself
	 * instead of being woken by the RX thread (receiver helping).  The stack then calls read with
	 * timeout 0 only, from one thread at a time, and sleeps in wait, one thread a seat.
	 *
	 * wait returns 1 when there may be a packet, 0 when 'timeout_us' passed (as for read), or wake
	 * (READER) or wake_leader (LEADER) was called, or for no reason; or a negative errno.  A packet
	 * that comes while a leader waits must wake the leader and should not wake the reader; while
	 * none does, it must wake the reader.  A LEADER may be cancelled in wait: it leaves nothing locked,
	 * or lets nobody be cancelled.  No other call is a cancellation point.
	 */
	int (*wait)(struct weft_dev *dev, enum weft_seat seat, int64_t timeout_us);
	void (*wake_leader)(struct weft_dev *dev);

	/*
	 * Several queues: 'queue' gives number 0 to queue_count - 1 (WEFT_DEV_QUEUES_MAX at most), each
	 * a device with read, write, wake, and perhaps wait and wake_leader of its own; number 0 may
	 * be 'dev' itself.  They have the name, mtu and flags of 'dev', whatever their own say, and
	 * go with its close; theirs is not called.  Calls on one queue are as above, calls on
	 * different ones may come at the same time.  A packet may be read from any queue; it is best
	 * if those of a TCP connection come by the queue that the connection's last packet was
	 * written to, as with Linux' TUN.
	 */
	uint32_t queue_count; /* 0 or 1: the device itself is its only queue */
	struct weft_dev *(*queue)(struct weft_dev *dev, uint32_t index);

	/*
	 * How many packets write has taken and lost since the device began, and how many bytes they
	 * had; of each queue its own.  Only write changes them, and the caller of write reads them:
	 * the stack counts those as dropped.  A device that loses them later tells with its next
	 * write.
	 */
	uint64_t write_refused;
	uint64_t write_refused_bytes;
};

enum { WEFT_DEV_QUEUES_MAX = 16 };

/*
 * Two devices joined by a cable in memory: what one writes, the other reads.  'queue_max' packets
 * wait in each direction, further ones are lost.  'flags' as above for both ends.  0 or -errno.
 */
WEFT_API int weft_dev_pair(struct weft_dev *ends[2], uint32_t mtu, uint32_t flags,
			   uint32_t queue_max);

/* What the fault device does to packets.  Probabilities in parts per million. */
struct weft_fault {
	uint64_t seed; /* equal seeds give equal faults for equal traffic */
	uint32_t loss_ppm;
	uint32_t dup_ppm;
	uint32_t reorder_ppm; /* a packet is held back until 1 to 8 later ones have passed */
	uint32_t corrupt_ppm; /* one bit is turned */
	uint32_t delay_us;    /* every packet waits that long */
	uint32_t jitter_us;   /* plus up to that much, at random; order is kept */
	uint64_t rate_bps;    /* bits per second; 0: no limit */
	uint32_t queue_max;   /* packets waiting for delay and rate; 0: 1,000 */
};

struct weft_fault_stats {
	uint64_t passed, lost, duplicated, reordered, corrupted, queue_drops;
};

/*
 * A device that passes packets to and from 'lower' with faults: 'out' for those written, 'in' for
 * those read (NULL: none).  Owns 'lower' from now on.  Has no offloads and asks 'lower' for none:
 * it must see packets as they are on a wire.  NULL with errno when it cannot be made; EINVAL for a
 * 'lower' with offloads or several queues.
 */
WEFT_API struct weft_dev *weft_dev_fault(struct weft_dev *lower, const struct weft_fault *out,
					 const struct weft_fault *in);
WEFT_API void weft_dev_fault_stats(struct weft_dev *fault, struct weft_fault_stats *out,
				   struct weft_fault_stats *in);

/*
 * A device that passes everything to and from 'lower' and writes a copy of each packet to 'path' in
 * pcapng form (checksums completed).  Owns 'lower' from now on.  NULL with errno; EINVAL for a
 * 'lower' with several queues.
 */
WEFT_API struct weft_dev *weft_dev_capture(struct weft_dev *lower, const char *path);

/* The TUN device. */
struct weft_tun_config {
	const char *name; /* interface name; NULL or "": the kernel chooses */
	int fd;         /* an open TUN descriptor to use instead (then -1 is "none"), owned after */
	uint32_t mtu;   /* 0: 1500, or what the given descriptor's interface has */
	int no_offload; /* non-zero: no virtio-net header, no offloads */
	const char *peer4; /* the kernel's IPv4 address on the interface, or NULL */
	const char *addr4; /* "A/PLEN": the stack's IPv4 address; gets a route to the interface */
	const char *peer6; /* the same for IPv6 */
	const char *addr6;
	uint32_t queues; /* IFF_MULTI_QUEUE with so many; 0: 1; a given descriptor has one only */
};

/*
 * Opens a TUN interface and, unless 'fd' was given, sets its addresses, route, MTU and link state
 * through netlink.  NULL with errno, and a line about what failed in 'why' of 'why_size' bytes.
 */
WEFT_API struct weft_dev *weft_dev_tun(const struct weft_tun_config *config, char *why,
				       size_t why_size);

#ifdef __cplusplus
}
#endif

#endif
