/*
 * weft.h - blocking TCP and UDP sockets on a TCP/IP stack of your own.
 *
 * A program opens a stack (struct weft_stack) on a packet device, usually a TUN interface, and then
 * uses sockets much as it would use the kernel's: the functions below are the POSIX ones with weft_
 * in front.  Handles are ints of weft's own space; they are not file descriptors of the kernel.
 *
 * Threads: every function may be called from any thread at any time; one socket may be used by many
 * threads at once.  Threads need not register.  Blocking calls sleep; they are not interrupted by
 * signals.  Those that POSIX says it of are cancellation points, with weft_epoll_wait and weft_sendfile:
 * a thread that is cancelled in one leaves nothing locked or lost (PTHREAD_CANCEL_DEFERRED only).  The child of a fork may close handles, which ends its copies only, and do nothing else
 * with weft: other calls fail with EBADF, or ENETDOWN, and no stack can be opened there (EPERM); after
 * exec the device's descriptor is gone, too.  weft never raises SIGPIPE.  A handle that was closed is EBADF for ever after, also in
 * calls that were blocked on it when it was closed: they wake at once.
 *
 * Errors: -1 (or NULL) with errno, as POSIX says; values follow Linux where the two differ.
 */
#ifndef WEFT_H
#define WEFT_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <weft/dev.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_stack;
struct mmsghdr; /* of <sys/socket.h>, with _GNU_SOURCE */
struct timespec;

/* A clock for a stack.  All members must be set. */
struct weft_clock {
	void *ctx;
	/* Microseconds since any fixed moment; never goes back.  Any thread. */
	int64_t (*now)(void *ctx);
	/*
	 * Sleeps on 'cond' with 'mutex' held, at most until the clock reads 'deadline' (INT64_MAX: no
	 * limit).  Returns 0 when signalled (or for no reason), ETIMEDOUT when the deadline has passed.
	 * 'cond' has its timeouts on CLOCK_MONOTONIC.  A clock that is moved by hand must broadcast
	 * every condition variable that waits here when it moves past its deadline.  Threads may be
	 * cancelled in it if it lets them; 'mutex' is held again then, as pthread_cond_wait does it.
	 */
	int (*wait)(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline);
};

/* When a listener answers with SYN cookies (RFC 4987) instead of remembering who asked. */
enum weft_syn_cookies {
	WEFT_SYN_COOKIES_AUTO, /* when syn_backlog_max is reached: the default */
	WEFT_SYN_COOKIES_OFF,  /* never: further SYNs are dropped */
	WEFT_SYN_COOKIES_ALWAYS,
};

/*
 * TCP fast open (RFC 7413), bits.  Data on a SYN may be delivered twice when the network doubles it: for
 * applications that can stand that, and that ask for it (6.1).
 */
enum weft_fastopen {
	WEFT_FASTOPEN_CLIENT = 1, /* MSG_FASTOPEN and TCP_FASTOPEN_CONNECT */
	WEFT_FASTOPEN_SERVER = 2, /* TCP_FASTOPEN of listeners */
};

/* Explicit congestion notification (RFC 3168), accurate (RFC 9768) for both sides where both say so. */
enum weft_ecn {
	WEFT_ECN_PASSIVE, /* for connections whose peer asks for it: the default */
	WEFT_ECN_OFF,
	WEFT_ECN_ON,               /* connect asks for it, too */
	WEFT_ECN_ACCURATE,         /* connect asks for the accurate one; each is accepted */
	WEFT_ECN_ACCURATE_PASSIVE, /* each is accepted, connect asks for none */
};

/* What segments do when the path takes less than the link, or more than it says (RFC 4821). */
enum weft_mtu_probing {
	/*
	 * They shrink when full ones vanish without a word, and then find out what passes: the default.
	 * As Linux' tcp_mtu_probing=1, which is off there; on here, as many networks filter ICMP.
	 */
	WEFT_MTU_PROBING_BLACK_HOLE,
	WEFT_MTU_PROBING_OFF,    /* ICMP messages only (Linux' 0) */
	WEFT_MTU_PROBING_ALWAYS, /* connections begin small and find out (Linux' 2) */
};

/* How to open a stack.  Start from WEFT_CONFIG_INIT; 0 or NULL in a member means its default. */
struct weft_config {
	/*
	 * Device: one of dev, tun_fd, or tun_name.  dev and tun_fd belong to weft from the call on: an
	 * open that fails closes them.  'faults' needs a dev without WEFT_DEV_RX_GSO.
	 */
	struct weft_dev *dev;
	int tun_fd;           /* an open TUN descriptor; 0 or less: none */
	const char *tun_name; /* name of the interface to make; NULL: the kernel chooses */
	bool no_offload;      /* TUN without the virtio-net header */
	bool plain_threads; /* only the TX thread sends; else threads that have just queued help */
	bool plain_rx; /* only the RX thread reads packets; else threads that wait for them may */
	uint32_t mtu;  /* 1280 to 65535 bytes; default: the device's, 1500 for a new TUN */
	/*
	 * RX threads and emitters, each with a queue of the TUN; 1 to 16, default 1.  More than 1 only for
	 * a TUN that weft makes, without 'capture' and 'faults': 'dev' brings its own number.
	 */
	uint32_t queues;

	/* Addresses, "192.0.2.1/24" and "2001:db8::1/64"; at least one of addr and addr6. */
	const char *addr;
	const char *peer; /* the kernel's address on the same TUN */
	const char *addr6;
	const char *peer6;

	const char *capture;             /* write a pcapng file of all packets there */
	const struct weft_fault *faults; /* for tests: both directions, reading has seed + 1 */
	const struct weft_clock *clock;  /* default: CLOCK_MONOTONIC */
	uint64_t seed;                   /* for repeatable runs; 0: from the system's entropy */

	/* Limits. */
	uint32_t conns_max;       /* connections, half-open and TIME-WAIT included; 1,048,576 */
	uint32_t syn_backlog_max; /* half-open connections a listener; 4,096 */
	enum weft_syn_cookies syn_cookies;
	uint32_t
		time_wait_max; /* TIME-WAIT records; 262,144; beyond: none is kept (counter TCP_TIME_WAIT_OVERFLOW) */
	/*
	 * A connect may use the port of a TIME-WAIT record to the same peer when timestamps make that
	 * safe, the record is a second old, and no other port is free (RFC 6191); this forbids it.
	 */
	bool no_time_wait_reuse;
	/* A RST with exactly the expected number ends TIME-WAIT (RFC 9293) instead of being ignored
	   (RFC 1337). */
	bool time_wait_rst;
	/*
	 * Connections that the application closed and that are not over yet; 65,536.  Beyond, and when
	 * memory is short and much is unsent, close resets the connection (counter TCP_ORPHAN_OVERFLOW).
	 */
	uint32_t orphans_max;
	uint32_t reply_queue_max; /* RSTs, ACKs, ICMP replies waiting for TX, a queue; 1,024 */
	uint64_t buf_bytes_max;   /* bytes in packet and socket buffers; 4 GiB; see weft_send */
	/*
	 * Socket buffers begin with these sizes and grow as the path needs it, up to buf_max and only
	 * while less than three quarters of buf_bytes_max are in use.  SO_RCVBUF and SO_SNDBUF end
	 * that for their socket.  A buffer is a limit: it costs what lies in it.
	 */
	uint32_t rcvbuf;   /* SO_RCVBUF of new sockets, bytes; 1 MiB */
	uint32_t sndbuf;   /* SO_SNDBUF of new sockets, bytes; 4 MiB */
	uint32_t buf_max;  /* largest SO_RCVBUF and SO_SNDBUF, bytes; 16 MiB */
	uint16_t port_min; /* ephemeral ports (RFC 6056); 32768 */
	uint16_t port_max; /* 60999 */

	/*
	 * Hash buckets for the sleeping threads of the whole process (Linux 6.16, PR_FUTEX_HASH): with
	 * fewer, a thousand blocked threads make each other's wake-ups slow.  Set when the process has
	 * less, rounded up to a power of two; 1 leaves it alone; 4,096
	 */
	uint32_t futex_slots;

	const char *
		congestion; /* TCP_CONGESTION of new sockets: "cubic" (default), "reno", "bbr", "bbr1" */

	/* TCP times, milliseconds: a day at most, the first three 20 minutes. */
	uint32_t rto_min_ms;        /* 200 (RFC 6298 says 1,000; see docs/RFC.md) */
	uint32_t rto_max_ms;        /* 120,000 */
	uint32_t rto_initial_ms;    /* 1,000 */
	uint32_t syn_timeout_ms;    /* an active open gives up; 180,000 (RFC 9293 MUST-23) */
	uint32_t synack_timeout_ms; /* a half-open connection is dropped; 63,000 */
	uint32_t user_timeout_ms;   /* unacknowledged data ends the connection; 924,600 */
	uint32_t time_wait_ms;      /* 2 MSL; 60,000 */
	uint32_t fin_wait2_ms;      /* an orphan waits for the peer's FIN; 60,000 */
	uint32_t orphan_ms;         /* an orphan's data and FIN must be acknowledged; 120,000 */
	uint32_t delack_ms;         /* 40 */

	/*
	 * Challenge ACKs (RFC 5961): between half and all of the maximum, at random, of each connection in
	 * an interval.
	 */
	uint32_t challenge_acks_max;    /* 10; at most 255 */
	uint32_t challenge_interval_ms; /* 5,000 */

	/*
	 * SO_ERROR tells, once, what a connection suffers from that goes on, an ICMP error; an ACK of new data
	 * makes that forgotten.  The error queue of a stream with IP_RECVERR tells ETIMEDOUT at the third
	 * retransmission of one segment (RFC 9293 3.8.3, R1).  This keeps both for the end, when the
	 * connection times out.
	 */
	bool no_soft_errors;

	enum weft_ecn ecn;
	uint32_t fastopen; /* of enum weft_fastopen; 0: off, the default */
	enum weft_mtu_probing mtu_probing;

	const char *hosts_file; /* for weft_getaddrinfo; "/etc/hosts"; "": none */

	/* ICMP errors that are sent in a second, by each queue, a 20th of them at once; 1,000; to 100,000. */
	uint32_t icmp_rate;
	bool no_icmp_errors; /* none */
	/* What a router said of a path's MTU is forgotten after so many seconds; 600; at least 120. */
	uint32_t pmtu_age_s;
};

#define WEFT_CONFIG_INIT                                                                           \
	{                                                                                          \
		.tun_fd = -1                                                                       \
	}

/*
 * Opens a stack: device, RX and TX threads.  NULL with errno (EINVAL: something in 'config' is
 * wrong); 'why' of 'why_size' bytes (may be NULL, 0) gets a line that says what failed.  The config's
 * strings and structs are copied, except dev and what clock's ctx points to.  Of the open stacks the
 * oldest is the default one.
 *
 * When the device fails for good (a TUN interface that is deleted), connections to other hosts end with
 * ENODEV, accept, listen and connect fail with it, and datagram sockets have it as a pending error.
 */
WEFT_API struct weft_stack *weft_stack_open(const struct weft_config *config, char *why,
					    size_t why_size);

/*
 * Closes a stack: connections are reset, handles of its sockets become invalid, threads blocked in
 * calls wake with ESHUTDOWN, the threads end, the device is closed.  Blocks until all that is done.
 * May be called from any thread but once, and not while another thread is about to use the pointer.
 */
WEFT_API void weft_stack_close(struct weft_stack *stack);

/* ---- Sockets. ---- */

/*
 * 'stack' NULL: the default stack (ENETDOWN when none is open).  AF_INET or AF_INET6; SOCK_STREAM for
 * TCP, SOCK_DGRAM for UDP or, with IPPROTO_ICMP or IPPROTO_ICMPV6, for ICMP echo (below); SOCK_NONBLOCK,
 * SOCK_CLOEXEC.  Handles are not the lowest free numbers: a closed one comes back only
 * after about a million further closes, so that a stale one is EBADF and not another socket.
 */
WEFT_API int weft_socket(struct weft_stack *stack, int domain, int type, int protocol);
WEFT_API int weft_bind(int fd, const struct sockaddr *addr, socklen_t len);
WEFT_API int weft_listen(int fd, int backlog);
WEFT_API int weft_accept(int fd, struct sockaddr *addr, socklen_t *len);
WEFT_API int weft_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
WEFT_API int weft_connect(int fd, const struct sockaddr *addr, socklen_t len);
WEFT_API ssize_t weft_read(int fd, void *buf, size_t size);
WEFT_API ssize_t weft_readv(int fd, const struct iovec *iov, int count);
WEFT_API ssize_t weft_recv(int fd, void *buf, size_t size, int flags);
WEFT_API ssize_t weft_recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *addr,
			       socklen_t *len);
/*
 * As weft_recvfrom with parts, flags and ancillary data.  A stream gives no name and no ancillary data;
 * MSG_OOB in 'msg_flags': the byte was urgent.  EMSGSIZE: more than IOV_MAX parts; EINVAL: sizes that are
 * no ssize_t.  The plural takes up to 'count' messages, in a stream a call's worth of bytes each, and
 * returns how many; an error behind the first is for the next call.  MSG_WAITFORONE: waits for the first
 * only.  'timeout' (may be NULL) is looked at behind each message, as on Linux, and left with the rest.
 */
WEFT_API ssize_t weft_recvmsg(int fd, struct msghdr *msg, int flags);
WEFT_API int weft_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags,
			   struct timespec *timeout);
/*
 * Urgent data (RFC 6093): of what was sent with MSG_OOB the last byte is urgent.  It is not in the
 * stream: reads stop in front of it, whatever they wait for, and the next one begins behind it.
 * weft_recv with MSG_OOB takes it and never blocks: EINVAL when there is none, or it was taken, or
 * SO_OOBINLINE leaves it in the stream; EAGAIN when it was announced and is not here.  A newer one
 * replaces it.  1 from weft_sockatmark: it is what would be read next.  weft sends no SIGURG.  Any
 * thread.
 */
WEFT_API int weft_sockatmark(int fd);
/*
 * Sending copies into socket buffers and blocks while the send buffer is full or while all of
 * buf_bytes_max is lent: until there is room or memory, SO_SNDTIMEO passes (EAGAIN, or what was taken
 * by then), or the socket is closed, shut down or reset.  Without blocking both are EAGAIN; there is
 * no ENOBUFS.
 *
 * MSG_MORE and TCP_CORK: a segment that is not full waits for more bytes, for 200 ms at most while
 * nothing is in flight.  A send without MSG_MORE, TCP_CORK 0, the end of the stream, urgent data,
 * setting TCP_NODELAY and, for MSG_MORE, an ACK let it go.
 */
WEFT_API ssize_t weft_write(int fd, const void *buf, size_t size);
WEFT_API ssize_t weft_writev(int fd, const struct iovec *iov, int count);
WEFT_API ssize_t weft_send(int fd, const void *buf, size_t size, int flags);
WEFT_API ssize_t weft_sendto(int fd, const void *buf, size_t size, int flags,
			     const struct sockaddr *addr, socklen_t len);
/*
 * As weft_sendto with parts and ancillary data: of the socket's level a stream knows none (EINVAL), that
 * of other levels it ignores.  The plural returns how many messages were sent; it ends behind one that
 * was not wholly taken.  Datagrams take IP_PKTINFO (ipi_spec_dst is the source), IP_TTL, IP_TOS, and
 * IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS, UDP_SEGMENT (also an option); recvmsg tells those that
 * IP_PKTINFO, IP_RECVTTL, IP_RECVTOS, IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS and SO_RXQ_OVFL
 * ask for.  Datagrams of one weft_sendmmsg leave together.
 */
WEFT_API ssize_t weft_sendmsg(int fd, const struct msghdr *msg, int flags);
WEFT_API int weft_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags);
/*
 * Datagrams: a message is sent whole or not at all (EMSGSIZE), waits for room in SO_SNDBUF, and may be
 * lost; congestion control is the application's (RFC 8085).  One call receives one message, and what
 * does not fit is gone (MSG_TRUNC).  SO_RCVBUF counts whole buffers of 512 bytes and up; what comes
 * beyond is dropped (DGRAM_RCVBUF).  connect names the only peer, AF_UNSPEC none; errors that the
 * network reports come to connected sockets, once, on the next call.  No multicast.
 *
 * ICMP echo: what is sent begins with the ICMP header of an echo request, in which the identifier (the
 * socket's port) and the checksum are filled in; what is received is the reply, header included.
 */
WEFT_API int weft_shutdown(int fd, int how);
WEFT_API int weft_close(int fd);
WEFT_API int weft_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
WEFT_API int weft_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
WEFT_API int weft_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
WEFT_API int weft_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
/*
 * FIONREAD (SIOCINQ): bytes that can be read, up to an urgent one; SIOCOUTQ: bytes, and a FIN, that the
 * peer has not acknowledged; SIOCOUTQNSD: those that were not sent; SIOCATMARK: as weft_sockatmark;
 * FIONBIO: sets (*value != 0) or clears O_NONBLOCK.  The argument is an int *.  EINVAL: the first three
 * of a listener; ENOTTY: another request, or no socket.  Any thread; never blocks.
 */
WEFT_API int weft_ioctl(int fd, unsigned long request, ...);
/*
 * F_GETFL and F_SETFL with O_NONBLOCK, which all handles of a socket share; F_DUPFD and F_DUPFD_CLOEXEC as
 * weft_dup (EINVAL: a negative argument, which means nothing else); F_GETFD is FD_CLOEXEC, since nothing
 * outlives an exec, and F_SETFD changes nothing.
 */
WEFT_API int weft_fcntl(int fd, int cmd, ...);

/*
 * Another handle for the same socket, which closes when the last one is closed.  Calls that are blocked
 * through one that is closed go on, as on Linux, when it is not the last.  weft_dup2 makes 'to', an open
 * handle (else EBADF), mean what 'from' means, in one step: nobody sees it closed.  What 'to' meant is
 * closed if that was its last handle.  EINVAL: they are of different stacks; weft_dup3: they are the same,
 * or flags other than O_CLOEXEC.  EMFILE.  Any thread.
 */
WEFT_API int weft_dup(int fd);
WEFT_API int weft_dup2(int from, int to);
WEFT_API int weft_dup3(int from, int to, int flags);

/*
 * Sends up to 'count' bytes (at most 0x7ffff000) of the kernel's file 'file': from '*offset' on, which is
 * moved, or from the file's own position.  The number of bytes, fewer at the end of the file, or where
 * the socket would block; blocks as weft_send.  EINVAL: the file cannot be read at a position, or a
 * negative one; else the errors of pread(2) and weft_send.  Any thread.
 */
WEFT_API ssize_t weft_sendfile(int fd, int file, off_t *offset, size_t count);

/* ---- What happens inside. ---- */

struct weft_stats {
	/* Now. */
	uint64_t sockets;   /* open handles */
	uint64_t conns;     /* connections in the table, records not included */
	uint64_t syn_rcvd;  /* half-open records */
	uint64_t time_wait; /* TIME-WAIT records */
	uint64_t listeners;
	uint64_t orphans; /* connections closed by the application that are not over yet */
	uint64_t bufs;    /* payload buffers lent, those of the RX threads not included */
	uint64_t buf_bytes;
	uint64_t
		objects; /* sockets and records not yet reclaimed; 0 after the last reference went */
	/* Since the stack was opened, by index; see weft_counter_name and weft_drop_name. */
	uint64_t counters[128];
	uint64_t drops[128];
};

/* Fills in 'stats'.  Numbers are read one by one, not as one snapshot. */
WEFT_API void weft_stack_stats(struct weft_stack *stack, struct weft_stats *stats);

/* "TCP_RETRANS" for index 0, 1, ...; NULL behind the last. */
WEFT_API const char *weft_counter_name(unsigned index);
WEFT_API const char *weft_counter_text(unsigned index);
WEFT_API const char *weft_drop_name(unsigned index);
WEFT_API const char *weft_drop_text(unsigned index);

/* The name of the stack's device ("weft0"). */
WEFT_API const char *weft_stack_dev_name(const struct weft_stack *stack);

/* "0.1.0" */
WEFT_API const char *weft_version(void);

#ifdef __cplusplus
}
#endif

#include <weft/netdb.h>
#include <weft/ready.h>

#endif
