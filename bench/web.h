/*
 * web.h - epoll-httpd: a web server of one page on epoll, the same source for weft's sockets and for
 * the kernel's.  web.c has the program and its workers, web_conn.c a connection, web_request.c
 * reads requests.
 */
#ifndef BENCH_WEB_H
#define BENCH_WEB_H

#include "common.h"
#include "web_request.h"

#include <assert.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <time.h>

enum {
	WEB_IN_SIZE = 16 * 1024,  /* what a read takes, a head that was cut off included */
	WEB_OUT_SIZE = 64 * 1024, /* answers to pipelined requests that are written at once */
	WEB_PAGE_SIZE = 1000,
	WEB_WORKERS_MAX = 64,
	WEB_LISTENERS_MAX = 2, /* IPv4 and IPv6 */
};

static_assert((int)WEB_IN_SIZE >= 2 * (int)WEB_HEAD_MAX, "a head that was cut off, and more");

/* What net_ops does not have. */
struct web_ops {
	int (*epoll_create)(void);
	int (*epoll_ctl)(int set, int op, int fd, struct epoll_event *event);
	int (*epoll_wait)(int set, struct epoll_event *events, int max, int timeout_ms);
	int (*accept)(int fd); /* without waiting, and what comes does not wait either */
};

/* What an event's data points to. */
struct web_source {
	int fd;
	bool is_listener;
};

/* A connection; of one worker. */
struct web_conn {
	struct web_source source; /* first */
	struct web_conn *prev;    /* of the worker's list */
	struct web_conn *next;
	char *rest;   /* of a head that was cut off, or NULL */
	char *unsent; /* of the answers, or NULL */
	size_t rest_size;
	size_t unsent_size;
	uint64_t skip;  /* bytes of a body that are still to come */
	bool is_ending; /* when all is sent: our end of the stream, and reading until theirs */
	bool is_shut;
	bool is_end; /* they have ended theirs */
};

/* A thread with an epoll set of its own. */
struct web_worker {
	const struct web *web;
	pthread_t thread;
	int set;
	int stop_fd; /* an eventfd in the kernel's set; -1: closing the set wakes */
	struct web_source listeners[WEB_LISTENERS_MAX];
	int listener_count;
	struct web_conn *conns;
	uint64_t conn_count;
	uint64_t requests;
	uint64_t waits;
	uint64_t events;
	uint64_t refused; /* connections for which there was no memory */
	char out[WEB_OUT_SIZE];
	char in[WEB_IN_SIZE];
	time_t date_at;
	char head[256]; /* of the usual answer, made anew every second */
	size_t head_size;
};

struct web {
	struct app *app;
	const struct net_ops *net;
	const struct web_ops *ops;
	unsigned worker_count;
	bool is_level;  /* level-triggered */
	bool is_shared; /* one listener for all workers, else one each with SO_REUSEPORT */
	atomic_bool is_stopping;
	struct web_worker *workers[WEB_WORKERS_MAX];
	char page[WEB_PAGE_SIZE];
};

extern const struct web_ops web_ops_weft;
extern const struct web_ops web_ops_kernel;

/* A connection of 'fd', in the worker's set; closes it when that does not go. */
void web_conn_open(struct web_worker *worker, int fd);

/* Something of it is ready: reads, answers, writes.  It may be closed and gone afterwards. */
void web_conn_serve(struct web_worker *worker, struct web_conn *conn, uint32_t events);

void web_conn_close(struct web_worker *worker, struct web_conn *conn);

#endif
