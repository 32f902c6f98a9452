/* A packet as one line of text, for traces and failed tests. */
#ifndef WEFT_WIRE_PRINT_H
#define WEFT_WIRE_PRINT_H

#include "net/wire/tcp_hdr.h"
#include <stddef.h>
#include <stdint.h>

/* "S. 100:100(0) ack 1 win 65535 <mss 1460,wscale 7>" into 'text' of 'size' bytes. */
char *tcp_print(const struct tcp_hdr *hdr, size_t payload_len, char *text, size_t size);

/* "10.0.0.1:80 > 10.0.0.2:5000 S ..." or the reason why the packet does not parse. */
char *packet_print(const uint8_t *pkt, size_t pkt_size, char *text, size_t size);

#endif
