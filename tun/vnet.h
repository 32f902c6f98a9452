/*
 * The virtio-net header that precedes each packet of a TUN device with offloads, to and from struct
 * weft_pkt (virtio 1.2, 5.1.6; fields in the machine's byte order, as TUN gives them unless told
 * otherwise).  Pure functions; called by tun.c while it reads and writes.
 */
#ifndef WEFT_TUN_VNET_H
#define WEFT_TUN_VNET_H

#include "weft/dev.h"
#include <linux/virtio_net.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* <linux/virtio_net.h> has it since 6.2 */
#endif

enum {
	VNET_HDR_SIZE = 10,    /* the header as used here */
	VNET_HDR_SIZE_MRG = 12 /* with num_buffers, which TUN ignores */
};

/*
 * Sets the offload members of 'pkt', whose bytes and 'len' are in place, from the header 'h' that
 * the kernel wrote.  One that makes no sense for these bytes gives WEFT_PKT_BAD and no offload.
 * A partial checksum gives WEFT_PKT_CSUM_PARTIAL and WEFT_PKT_CSUM_VALID: the sender is on this
 * machine.
 */
void vnet_decode(const struct virtio_net_hdr *h, struct weft_pkt *pkt);

/* Writes the header for a packet to send; 0, or -EINVAL when its offload members make no sense. */
int vnet_encode(struct virtio_net_hdr *h, const struct weft_pkt *pkt);

#endif
