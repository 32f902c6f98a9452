/*
 * Bytes of a packet that lies in pieces (struct weft_pkt), and its partial checksum.  Called by the
 * devices on the thread that reads or writes; no state.
 */
#ifndef WEFT_TUN_IOV_H
#define WEFT_TUN_IOV_H

#include "weft/dev.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that the pieces have room for. */
size_t iov_room(const struct weft_pkt *pkt);

/* Copies at most 'max' of the packet's 'len' bytes to 'dst'; returns how many. */
size_t iov_gather(const struct weft_pkt *pkt, uint8_t *dst, size_t max);

/* Copies 'size' bytes, or as many as fit, from 'src' to the pieces; returns how many. */
size_t iov_scatter(const struct weft_pkt *pkt, const uint8_t *src, size_t size);

/*
 * Completes the partial checksum of the packet of 'size' bytes at 'bytes': the field 'offset' bytes
 * behind 'start' holds the pseudo-header's sum.  False when the field is not inside the packet.
 */
bool csum_complete(uint8_t *bytes, size_t size, uint16_t start, uint16_t offset);

/*
 * What a device has to take to be given the packet: bits of enum weft_dev_flags; 0 for one that is not to
 * be cut.
 */
uint32_t pkt_offload(const struct weft_pkt *pkt);

#endif
