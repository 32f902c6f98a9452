/*
 * common.h - what the example programs and weft-perf share: options, opening the stack, signals,
 * statistics, and a table of socket functions so that the same program text runs on weft's sockets
 * and on the kernel's (--kernel).
 *
 * Programs call app_parse, app_open, do their work, and app_close, all on the main thread.  The
 * socket helpers may be used on any thread.  Only <weft/weft.h> of the library is used.
 */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <weft/weft.h>

/* Room for "[address%scope]:port". */
enum { ADDR_TEXT_SIZE = 80 };

/* Exit codes: the user called the program wrongly; something failed. */
enum { EXIT_USAGE = 2, EXIT_FAILED = 1 };

/* ---- Socket functions: weft's or the kernel's, both as POSIX says. ---- */

struct net_ops {
	/* Closing a socket wakes the calls blocked on it (EBADF), and its number is never used again. */
	bool close_wakes;
	int (*socket)(int domain, int type, int protocol);
	int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*listen)(int fd, int backlog);
	int (*accept)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	ssize_t (*read)(int fd, void *buf, size_t size);
	ssize_t (*write)(int fd, const void *buf, size_t size);
	int (*shutdown)(int fd, int how);
	int (*close)(int fd);
	int (*getsockname)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*setsockopt)(int fd, int level, int option, const void *value, socklen_t len);
};

extern const struct net_ops net_ops_weft;   /* on the default stack */
extern const struct net_ops net_ops_kernel; /* of the operating system */

/* Reads 'size' bytes; returns how many came before the end of the stream, or -1 with errno. */
ssize_t net_read_all(const struct net_ops *ops, int fd, void *buf, size_t size);

/* Writes 'size' bytes.  0, or -1 with errno. */
int net_write_all(const struct net_ops *ops, int fd, const void *buf, size_t size);

/* Sets an option of type int.  0, or -1 with errno. */
int net_set_int(const struct net_ops *ops, int fd, int level, int option, int value);

/* Sets SO_RCVTIMEO and SO_SNDTIMEO.  0, or -1 with errno. */
int net_set_timeouts(const struct net_ops *ops, int fd, unsigned seconds);

/*
 * Makes the next close of 'fd' wait, a few seconds at most, until the peer has acknowledged
 * everything.  For a program that closes its stack next: that resets what is not yet finished.
 */
void net_set_linger(const struct net_ops *ops, int fd);

/* Writes "1.2.3.4:80" or "[2001:db8::1]:80" to 'text' of ADDR_TEXT_SIZE bytes and returns it. */
const char *net_addr_text(const struct sockaddr *addr, char *text);

/* ---- Sockets of a client, which the signal thread may interrupt. ---- */

struct net_live {
	/* Immutable after init. */
	const struct net_ops *ops;
	size_t count;
	/* Guarded by mutex. */
	pthread_mutex_t mutex;
	bool stopped;
	int *fds; /* 'count' slots; -1: free */
};

/* 0, or -1 with errno.  Every slot belongs to one thread at a time. */
int net_live_init(struct net_live *live, const struct net_ops *ops, size_t count);
void net_live_fini(struct net_live *live);

/* Connects a new socket and puts it into 'slot'.  Its number, or -1 with errno (ECANCELED: stopped). */
int net_live_connect(struct net_live *live, size_t slot, const struct sockaddr *addr,
		     socklen_t len);

/* Closes the socket in 'slot', if there is one. */
void net_live_close(struct net_live *live, size_t slot);

/* Wakes every call on these sockets and lets no further one connect.  Any thread. */
void net_live_stop(struct net_live *live);
bool net_live_is_stopped(struct net_live *live);

/* ---- The program. ---- */

struct app {
	/* Set by the program before app_parse. */
	const char *name;  /* "weft-echo" */
	const char *usage; /* what stands in --help above the common options */
	const struct option
		*options; /* further options, with values from APP_OPTION_FIRST; or NULL */
	/* Takes a further option, or with 'value' APP_ARGUMENT an argument.  False: bad argument. */
	bool (*option)(void *ctx, int value, const char *arg);
	void *ctx;
	uint16_t port;   /* the default; changed by --port */
	bool needs_weft; /* no --kernel: uses more than 'struct net_ops' has */

	/* Set by app_parse. */
	struct weft_config config;
	struct weft_fault fault;
	bool is_kernel;
	bool has_stats;
	const char *dns_servers; /* NULL: none; these three as in struct weft_dns_config */
	const char *dns_search;
	const char *resolv_conf;
	const char *congestion; /* TCP_CONGESTION of listeners; NULL: as it is */

	/* Set by app_open. */
	const struct net_ops *ops;
	struct weft_stack *stack; /* NULL with --kernel */

	/* The signal thread's; see app_signals_start. */
	void (*on_stop)(void *ctx);
	void *on_stop_ctx;
	pthread_t signal_thread;
	bool is_ending; /* atomic */
};

enum { APP_OPTION_FIRST = 2000, APP_ARGUMENT = 1 };

/* Parses the command line; ends the program for --help (0) and for mistakes (EXIT_USAGE). */
void app_parse(struct app *app, int argc, char **argv);

/* Opens the stack, or nothing with --kernel.  0, or -1 after a line on stderr. */
int app_open(struct app *app);

/* Prints statistics if --stats was given, and closes the stack. */
void app_close(struct app *app);

/*
 * Starts the thread that waits for SIGINT and SIGTERM and then calls 'on_stop' once; a second
 * signal ends the program on the spot.  SIGUSR1 prints statistics.  After app_open.  0, or -1 after a line on stderr.
 */
int app_signals_start(struct app *app, void (*on_stop)(void *ctx), void *ctx);

/*
 * Instead of that thread, for a program with a loop that handles signals itself: lets the calling thread
 * have SIGINT and SIGTERM.  After app_open, so that no thread of the stack gets them.
 */
void app_signals_here(void);

/* Ends that thread: on_stop will not be called any more and is not running. */
void app_signals_end(struct app *app);

/* One line on stderr, "name: ...". */
void app_say(const struct app *app, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with ": " and the text of 'error', an errno value, behind it. */
void app_say_error(const struct app *app, const char *what, int error);

/* A line on stderr, then the program ends with EXIT_USAGE. */
_Noreturn void app_usage_error(const struct app *app, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

enum { APP_ADDRS_MAX = 16 };

/* Where a host may be reached, to be tried one after the other. */
struct app_addrs {
	unsigned count;
	struct sockaddr_storage addr[APP_ADDRS_MAX];
	socklen_t len[APP_ADDRS_MAX];
};

/*
 * Finds the addresses of 'host' (a name, a literal, "[literal]", each with or without ":port"): by the stack's
 * hosts file and, with --dns, DNS; for the families the stack has, the best one first.  0, and at least
 * one; or -1 after a line on stderr.
 */
int app_resolve(const struct app *app, const char *host, uint16_t port, struct app_addrs *out);

/* Parses a number of at most 'max' with an optional K, M or G (powers of 1,024). */
bool parse_number(const char *text, uint64_t max, uint64_t *number);

/* Microseconds of the monotonic clock. */
int64_t now_us(void);

#endif
