/* Linux's struct tcp_info from what the TCP core tells about a connection.  Pure. */
#ifndef WEFT_API_TCPINFO_H
#define WEFT_API_TCPINFO_H

#include "net/tcp/tcp.h"
#include <netinet/tcp.h>

enum {
	TCPINFO_HEAD = 104,
	TCPINFO_WSCALES = 6, /* the bytes of its bit fields */
	TCPINFO_FLAGS =
		7, /* tcpi_delivery_rate_app_limited, tcpi_fastopen_client_fail: not in libc's */
};

/* Linux 6.x's struct tcp_info, of which libc's <netinet/tcp.h> has the head only. */
struct tcpinfo {
	uint8_t head[TCPINFO_HEAD];
	uint64_t pacing_rate; /* bytes per second; UINT64_MAX: not paced */
	uint64_t max_pacing_rate;
	uint64_t bytes_acked;
	uint64_t bytes_received;
	uint32_t segs_out;
	uint32_t segs_in;
	uint32_t notsent_bytes;
	uint32_t min_rtt; /* microseconds */
	uint32_t data_segs_in;
	uint32_t data_segs_out;
	uint64_t delivery_rate; /* bytes per second */
	uint64_t busy_time;
	uint64_t rwnd_limited;
	uint64_t sndbuf_limited;
	uint32_t delivered; /* segments */
	uint32_t delivered_ce;
	uint64_t bytes_sent;
	uint64_t bytes_retrans;
	uint32_t dsack_dups;
	uint32_t reord_seen;
	uint32_t rcv_ooopack;
	uint32_t snd_wnd; /* bytes */
	uint32_t rcv_wnd;
	uint32_t rehash;
	uint16_t total_rto;
	uint16_t total_rto_recoveries;
	uint32_t total_rto_time;
};

/* Members that weft has nothing for are 0; weft.h says which. */
void tcpinfo_fill(struct tcpinfo *info, const struct tcp_status *status);

#endif
