/*
 * Why a packet or segment was not used: every refusal has a name, a counter and a test.
 * DROP_NONE means accepted.  Public through weft_stats and weft_drop_name.
 */
#ifndef WEFT_BASE_DROP_H
#define WEFT_BASE_DROP_H

#define WEFT_DROPS(X)                                                                              \
	X(NONE, "accepted")                                                                        \
	/* IP */                                                                                   \
	X(IP_SHORT, "shorter than an IP header")                                                   \
	X(IP_VERSION, "IP version not 4 or 6")                                                     \
	X(IP_HDR_LEN, "IPv4 header length out of range")                                           \
	X(IP_TOTAL_LEN, "IP length larger than the packet or smaller than its header")             \
	X(IP_CSUM, "bad IPv4 header checksum")                                                     \
	X(IP_FRAGMENT, "fragment")                                                                 \
	X(IP_OPTIONS, "malformed IPv4 options or a source route")                                  \
	X(IP_EXT_HDR, "malformed or misplaced IPv6 extension header")                              \
	X(IP_EXT_OPTION, "IPv6 option that nobody knows and that forbids to go on")                \
	X(IP_EXT_LIMIT, "too many IPv6 extension headers or options")                              \
	X(IP_ROUTING, "IPv6 routing header with segments left")                                    \
	X(IP_FRAG_SIZE, "fragment of a size that makes no sense")                                  \
	X(IP_FRAG_CHAIN, "first IPv6 fragment without the whole header chain")                     \
	X(IP_FRAG_OVERLAP, "fragment that overlaps others, or of such a datagram")                 \
	X(IP_FRAG_DUP, "fragment that came twice")                                                 \
	X(IP_FRAG_LIMIT, "datagram or fragment beyond a limit of reassembly")                      \
	X(IP_FRAG_ECN, "fragments whose ECN fields contradict each other")                         \
	X(IP_FRAG_TIMEOUT, "datagram that was not complete in time")                               \
	X(IP_SRC, "illegal source address")                                                        \
	X(IP_DST, "not addressed to this stack")                                                   \
	X(IP_TTL, "farther away than the socket wants (IP_MINTTL)")                                \
	X(IP_PROTO, "unknown transport protocol")                                                  \
	/* ICMP, UDP */                                                                            \
	X(ICMP_SHORT, "short or malformed ICMP message")                                           \
	X(ICMP_CSUM, "bad ICMP checksum")                                                          \
	X(ICMP_TYPE, "ICMP type not handled")                                                      \
	X(ICMP_NO_CONN, "ICMP error for no known connection")                                      \
	X(ICMP_SEQ, "ICMP error quotes a sequence number not in flight")                           \
	X(ICMP_MTU, "ICMP too big that says nothing new or nothing sensible")                      \
	X(ICMP_RATE, "ICMP message over the rate limit")                                           \
	X(UDP_SHORT, "short or malformed UDP datagram")                                            \
	X(UDP_CSUM, "bad UDP checksum")                                                            \
	X(ICMP_NO_SOCK, "ICMP echo reply that no socket waits for")                                \
	X(UDP_NO_PORT, "UDP datagram to a port without a user")                                    \
	/* TCP: the segment itself */                                                              \
	X(TCP_SHORT, "shorter than a TCP header")                                                  \
	X(TCP_DATA_OFFSET, "TCP data offset out of range")                                         \
	X(TCP_OPTION, "malformed TCP option")                                                      \
	X(TCP_CSUM, "bad TCP checksum")                                                            \
	X(TCP_PORT_ZERO, "TCP from port 0")                                                        \
	X(TCP_FLAGS, "TCP flags that make no sense here")                                          \
	/* TCP: against the state */                                                               \
	X(TCP_NO_CONN, "no connection and no listener")                                            \
	X(TCP_NO_ACK, "segment without ACK in a synchronized state")                               \
	X(TCP_OUT_OF_WINDOW, "outside the receive window")                                         \
	X(TCP_OLD_DUP, "nothing but data received before")                                         \
	X(TCP_PAWS, "older than the last timestamp (PAWS)")                                        \
	X(TCP_RST_OUT_OF_WINDOW, "RST outside the receive window")                                 \
	X(TCP_RST_CHALLENGE, "RST not exactly at RCV.NXT: challenged")                             \
	X(TCP_SYN_CHALLENGE, "SYN in a synchronized state: challenged")                            \
	X(TCP_ACK_INVALID, "ACK of something never sent, or too old")                              \
	X(TCP_SYN_SENT_ACK, "wrong ACK in SYN-SENT")                                               \
	X(TCP_SYN_RCVD_ACK, "wrong ACK in SYN-RECEIVED")                                           \
	X(TCP_AFTER_FIN, "data behind the peer's FIN")                                             \
	X(TCP_AFTER_CLOSE, "data for a socket that the application closed")                        \
	X(TCP_REASS_FULL, "reassembly queue at its limit")                                         \
	X(TCP_RCV_FULL, "no room in the receive buffer")                                           \
	X(TCP_TIME_WAIT, "segment in TIME-WAIT")                                                   \
	X(TCP_LISTEN_RST, "RST to a listener")                                                     \
	X(TCP_LISTEN_FLAGS, "neither SYN, ACK nor RST to a listener")                              \
	X(TCP_LISTEN_ACK, "ACK to a listener without a half-open connection")                      \
	X(TCP_SYN_BACKLOG, "SYN: half-open connections at their limit")                            \
	X(TCP_ACCEPT_FULL, "accept queue full")                                                    \
	X(TCP_DEFERRED, "ACK of a handshake whose listener waits for data")                        \
	X(TCP_SYN_DUP, "SYN repeated for a half-open connection")                                  \
	/* Resources */                                                                            \
	X(NO_BUF, "no receive buffer")                                                             \
	X(NO_MEM, "out of memory for a connection")                                                \
	X(CONN_LIMIT, "connections at their limit")                                                \
	X(DGRAM_RCVBUF, "datagram for a socket whose receive buffer is full")                      \
	X(ERR_QUEUE, "error for a stream whose error queue is full")                               \
	X(REPLY_QUEUE, "reply queue full")                                                         \
	X(LOOP_QUEUE, "loopback queue full")                                                       \
	X(DEV_WRITE, "the device refused a packet")                                                \
	X(DEV_GSO, "offload header that makes no sense")                                           \
	X(STOPPED, "the stack is stopping")

enum drop {

#define X(name, text) DROP_##name,
	WEFT_DROPS(X)
#undef X
		DROP_COUNT
};

/* "TCP_CSUM" and "bad TCP checksum"; NULL behind the last. */
const char *drop_name(enum drop drop);
const char *drop_text(enum drop drop);

#endif
