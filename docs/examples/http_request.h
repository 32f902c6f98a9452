/*
 * http_request.h - one HTTP/1.1 request as weft-httpd needs it, parsed by libhttp-parser
 * (RFC 9110, RFC 9112).  Belongs to the thread of its connection.
 */
#ifndef EXAMPLES_HTTP_REQUEST_H
#define EXAMPLES_HTTP_REQUEST_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP_TARGET_MAX = 4096,       /* longer: 414 */
	HTTP_HEADERS_MAX = 16 * 1024, /* request line and fields together; more: 431 */
	HTTP_BODY_MAX = 1024 * 1024,  /* bodies are read and thrown away; longer: 413 */
	HTTP_VALUE_MAX = 256,         /* longer values of the fields below are ignored */
};

/* The fields the server looks at. */
enum http_field {
	FIELD_HOST,
	FIELD_RANGE,
	FIELD_IF_RANGE,
	FIELD_IF_MODIFIED_SINCE,
	FIELD_IF_NONE_MATCH,
	FIELD_EXPECT,
	FIELD_COUNT,
	FIELD_OTHER = FIELD_COUNT,
};

struct http_request {
	http_parser parser;

	/* The request, valid once is_complete. */
	unsigned status; /* 0: to be answered; else the error to answer with */
	unsigned method; /* enum http_method */
	bool is_http10;
	bool keep_alive; /* the connection may go on after the answer */
	char target[HTTP_TARGET_MAX + 1];
	size_t target_size;
	char values[FIELD_COUNT][HTTP_VALUE_MAX]; /* "" when absent */

	/* How far the parser is. */
	bool is_complete;
	bool has_begun;
	bool wants_continue; /* the caller is to send "100 Continue" and to clear this */
	enum http_field field;
	char name[32];
	size_t name_size;
	size_t value_size;
	unsigned host_count;
	bool in_value;
	uint64_t body_size;
};

/* Once per program, before the first request. */
void http_request_setup(void);

/* Before the first request of a connection. */
void http_request_init(struct http_request *request);

/* Forgets the request that was answered; the connection goes on with the next one. */
void http_request_next(struct http_request *request);

/*
 * Takes up to 'size' bytes from 'data' and returns how many: it stops behind a request's last byte
 * (is_complete then, and status says what to answer), so that pipelined requests come one by one.
 * A request that cannot be understood is complete too, with an error status and without keep_alive.
 */
size_t http_request_parse(struct http_request *request, const char *data, size_t size);

/*
 * Decodes the target's path into 'path' of 'size' bytes: without leading slashes, query and
 * percent signs; "" is the root.  Returns 0 or the status to answer with.
 */
unsigned http_request_path(const struct http_request *request, char *path, size_t size);

#endif
