/*
 * web_request.h - the head of an HTTP/1.1 request (RFC 9112), as epoll-httpd needs it: enough to know
 * where the next request of the connection begins, and whether there is one.  Any thread; no state.
 */
#ifndef BENCH_WEB_REQUEST_H
#define BENCH_WEB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WEB_HEAD_MAX = 8 * 1024,    /* request line and fields; more: 431 */
	WEB_BODY_MAX = 1024 * 1024, /* bodies are read and thrown away; longer: 413 */
};

struct web_request {
	unsigned status; /* to answer with; 200, or an error */
	bool is_head;    /* HEAD: the answer has no body */
	bool is_http10;
	bool keep_alive; /* the connection may go on behind the answer */
	uint64_t body_size;
};

/*
 * Reads the head at 'data'.  Returns its size, or 0 when it is not complete yet.  A head that cannot
 * be understood is complete, too, with an error and without keep_alive.
 */
size_t web_request_parse(const char *data, size_t size, struct web_request *request);

#endif
