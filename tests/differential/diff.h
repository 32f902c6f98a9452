/*
 * The same calls on the kernel's sockets and on weft's: what a topic prints must be equal, or the
 * difference stands in differences.tsv with its reason.
 *
 * A topic makes sockets of two sides, CLIENT and SERVER.  By the bed each side is the kernel (over
 * loopback or a TUN) or a stack of weft (over the pair device or a TUN).  Handles of weft are never as
 * small as descriptors, so the x_ functions tell by the number whose it is.
 */
#ifndef WEFT_TESTS_DIFF_H
#define WEFT_TESTS_DIFF_H

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <weft/ready.h>
#include <weft/weft.h>

enum side { CLIENT, SERVER, SIDES };

/* ---- What is printed: one line a check, "topic.name: result". ---- */

void say(const char *name, long rc);          /* -1 becomes errno's name */
void say_value(const char *name, long value); /* any number */
void say_text(const char *name, const char *text);
/* rc as in say, with 'value' behind it when it is not -1. */
void say_with(const char *name, long rc, long value);

/* A name for the next checks: "<prefix>.<name>". */
void say_prefix(const char *prefix);

/* ---- Calls. ---- */

int x_socket(enum side side, int domain, int type, int protocol);
int x_bind(int fd, const struct sockaddr *addr, socklen_t len);
int x_listen(int fd, int backlog);
int x_accept(int fd, struct sockaddr *addr, socklen_t *len);
int x_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int x_connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t x_recv(int fd, void *buf, size_t size, int flags);
ssize_t x_recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *addr,
		   socklen_t *len);
ssize_t x_read(int fd, void *buf, size_t size);
ssize_t x_readv(int fd, const struct iovec *iov, int count);
ssize_t x_send(int fd, const void *buf, size_t size, int flags);
ssize_t x_sendto(int fd, const void *buf, size_t size, int flags, const struct sockaddr *addr,
		 socklen_t len);
ssize_t x_sendmsg(int fd, const struct msghdr *hdr, int flags);
ssize_t x_recvmsg(int fd, struct msghdr *hdr, int flags);
ssize_t x_write(int fd, const void *buf, size_t size);
ssize_t x_writev(int fd, const struct iovec *iov, int count);
int x_shutdown(int fd, int how);
int x_close(int fd);
int x_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int x_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
int x_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int x_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int x_fcntl(int fd, int cmd, int arg);

/* In more.c.  All handles of a call are of one side, which 'side' names where no handle may. */
int x_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags);
int x_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout);
int x_ioctl(int fd, unsigned long request, int *value);
int x_sockatmark(int fd);
int x_dup(int fd);
int x_dup2(int from, int to);
int x_dup3(int from, int to, int flags);
int x_poll(enum side side, struct pollfd *fds, nfds_t count, int timeout_ms);
int x_ppoll(enum side side, struct pollfd *fds, nfds_t count, const struct timespec *timeout);
/* Of one descriptor: bits 1 readable, 2 writable, 4 exceptional; -1. */
int x_select(int fd);
int x_epoll_create1(enum side side, int flags);
int x_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int x_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms);
int x_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout);
int x_getaddrinfo(enum side side, const char *node, const char *service,
		  const struct addrinfo *hints, struct addrinfo **res);
void x_freeaddrinfo(enum side side, struct addrinfo *res);
int x_getnameinfo(enum side side, const struct sockaddr *addr, socklen_t len, char *host,
		  socklen_t host_size, char *service, socklen_t service_size, int flags);

/* ---- Beds. ---- */

struct weft_stack *stack_of(enum side side); /* NULL: the kernel */
bool is_weft(int fd);

/* A handle or descriptor of that side that was closed. */
int closed_fd(enum side side);

/* The side's address with that port. */
struct sockaddr_in addr4_of(enum side side, uint16_t port);
struct sockaddr_in6 addr6_of(enum side side, uint16_t port);
/* An address that the side does not have and nobody answers at. */
struct sockaddr_in strange_addr4(uint16_t port);

/* A port that nobody has used yet, the same in all beds. */
uint16_t fresh_port(void);

/* A TCP socket, a connect to an IPv4 address, SO_ERROR (-1: not got), an option of an int. */
int tcp4(enum side side);
int connect4(int fd, struct sockaddr_in in);
int so_error(int fd);
void set_int(int fd, int level, int option, int value);

/* A listener of SERVER on its address, and '*port'. */
int make_listener(uint16_t *port, int backlog);
/* A connection: fd[CLIENT] and fd[SERVER]. */
void make_connection(int fd[SIDES]);
void close_both(const int fd[SIDES]);

/* Sleeps until reading would not block: by reading a byte without taking it. */
void wait_readable(int fd);

/* Sleeps until all of 'events' are there, for two seconds at most; then it is said. */
void wait_for(enum side side, int fd, int events);

/* The topics. */
void topic_socket(void);
void topic_bind(void);
void topic_listen(void);
void topic_connect(void);
void topic_stream(void);
void topic_ending(void);
void topic_options(void);
void topic_flags(void);
void topic_udp(void);
void topic_ready(void);
void topic_epoll(void);
void topic_messages(void);
void topic_calls(void);
void topic_names(void);
void topic_errors(void);
void topic_zerocopy(void);
void topic_traps(void);
void topic_threads(void);

#endif
