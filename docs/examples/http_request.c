/*
 * http_request.c - requests from bytes, by way of libhttp-parser's callbacks.
 * Called by weft-httpd.c on the thread of the connection; keeps no state outside the request.
 */
#include "http_request.h"

#include <string.h>
#include <strings.h>

static const char *const field_names[FIELD_COUNT] = {
	[FIELD_HOST] = "Host",
	[FIELD_RANGE] = "Range",
	[FIELD_IF_RANGE] = "If-Range",
	[FIELD_IF_MODIFIED_SINCE] = "If-Modified-Since",
	[FIELD_IF_NONE_MATCH] = "If-None-Match",
	[FIELD_EXPECT] = "Expect",
};

static int on_begin(http_parser *parser)
{
	struct http_request *request = parser->data;

	request->has_begun = true;
	return 0;
}

static int on_url(http_parser *parser, const char *data, size_t size)
{
	struct http_request *request = parser->data;

	if (size > HTTP_TARGET_MAX - request->target_size) {
		request->status = 414;
		return -1;
	}
	memcpy(request->target + request->target_size, data, size);
	request->target_size += size;
	request->target[request->target_size] = '\0';
	return 0;
}

/* Names and values may come in several pieces. */
static int on_field(http_parser *parser, const char *data, size_t size)
{
	struct http_request *request = parser->data;

	if (request->in_value) {
		request->in_value = false;
		request->name_size = 0;
	}
	/* A name that does not fit is none of ours; keep its size to know that. */
	if (request->name_size + size < sizeof(request->name))
		memcpy(request->name + request->name_size, data, size);
	request->name_size += size;
	return 0;
}

static enum http_field find_field(const struct http_request *request)
{
	for (int i = 0; i < FIELD_COUNT; i++)
		if (strlen(field_names[i]) == request->name_size &&
		    strncasecmp(field_names[i], request->name, request->name_size) == 0)
			return (enum http_field)i;
	return FIELD_OTHER;
}

static int on_value(http_parser *parser, const char *data, size_t size)
{
	struct http_request *request = parser->data;
	char *value;

	if (!request->in_value) {
		request->in_value = true;
		request->value_size = 0;
		request->field = find_field(request);
		if (request->field == FIELD_HOST)
			request->host_count++;
	}
	if (request->field == FIELD_OTHER)
		return 0;
	value = request->values[request->field];
	if (request->value_size + size < HTTP_VALUE_MAX) {
		memcpy(value + request->value_size, data, size);
		value[request->value_size + size] = '\0';
	} else {
		value[0] = '\0';
	}
	request->value_size += size;
	return 0;
}

/* What the fields alone say is wrong; 0: nothing. */
static unsigned check_head(const http_parser *parser, const struct http_request *request)
{
	if (parser->http_major != 1)
		return 505;
	/* RFC 9112 3.2: exactly one Host, except in HTTP/1.0. */
	if (request->host_count > 1 || (request->host_count == 0 && parser->http_minor > 0))
		return 400;
	switch (parser->method) {
	case HTTP_GET:
	case HTTP_HEAD:
		return 0;
	case HTTP_POST:
	case HTTP_PUT:
	case HTTP_DELETE:
	case HTTP_OPTIONS:
	case HTTP_PATCH:
	case HTTP_TRACE:
	case HTTP_CONNECT:
		return 405;
	default:
		return 501;
	}
}

static int on_headers(http_parser *parser)
{
	struct http_request *request = parser->data;
	bool has_size = parser->content_length != UINT64_MAX && parser->content_length > 0;
	bool has_body = has_size || (parser->flags & F_CHUNKED);
	bool expects = strcasecmp(request->values[FIELD_EXPECT], "100-continue") == 0;

	request->method = parser->method;
	request->is_http10 = parser->http_major == 1 && parser->http_minor == 0;
	request->status = check_head(parser, request);
	if (has_size && parser->content_length > HTTP_BODY_MAX)
		request->status = 413;
	/*
	 * An error needs no body: answer at once and close, what is still to come is unread.  And
	 * with a client that breaks the rules it is safer not to go on.
	 */
	if (request->status != 0 && (has_body || parser->method == HTTP_CONNECT ||
				     request->status == 400 || request->status == 505))
		return -1;
	request->wants_continue = has_body && expects && !request->is_http10;
	/* Offers to upgrade are not taken: an ordinary request (RFC 9110 7.8). */
	parser->upgrade = 0;
	return 0;
}

static int on_body(http_parser *parser, const char *data, size_t size)
{
	struct http_request *request = parser->data;

	(void)data;
	request->body_size += size;
	if (request->body_size <= HTTP_BODY_MAX)
		return 0;
	request->status = 413;
	return -1;
}

static int on_complete(http_parser *parser)
{
	struct http_request *request = parser->data;

	request->is_complete = true;
	request->keep_alive = http_should_keep_alive(parser) != 0;
	/* Makes http_parser_execute return here, with further requests untouched. */
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_message_begin = on_begin,
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

void http_request_setup(void)
{
	http_parser_set_max_header_size(HTTP_HEADERS_MAX);
}

/* Everything but the parser; the big arrays need no clearing. */
static void reset(struct http_request *request)
{
	request->status = 0;
	request->method = HTTP_GET;
	request->is_http10 = false;
	request->keep_alive = false;
	request->target[0] = '\0';
	request->target_size = 0;
	for (int i = 0; i < FIELD_COUNT; i++)
		request->values[i][0] = '\0';
	request->is_complete = false;
	request->has_begun = false;
	request->wants_continue = false;
	request->field = FIELD_OTHER;
	request->name_size = 0;
	request->value_size = 0;
	request->host_count = 0;
	request->in_value = false;
	request->body_size = 0;
}

void http_request_init(struct http_request *request)
{
	http_parser_init(&request->parser, HTTP_REQUEST);
	request->parser.data = request;
	reset(request);
}

void http_request_next(struct http_request *request)
{
	reset(request);
	http_parser_pause(&request->parser, 0);
}

/* Whether the bytes look like a request line with a method we never heard of. */
static bool is_request_line(const char *data, size_t size)
{
	static const char version[] = " HTTP/1.";
	const char *end = memchr(data, '\n', size);
	const char *space = memchr(data, ' ', size);

	if (!end || !space || space > end)
		return false;
	for (const char *at = data; at < space; at++)
		if (*at < 'A' || *at > 'z')
			return false;
	return memmem(space, (size_t)(end - space), version, sizeof(version) - 1) != NULL;
}

static unsigned status_of_error(enum http_errno error, const char *data, size_t size)
{
	if (error == HPE_HEADER_OVERFLOW)
		return 431;
	if (error == HPE_INVALID_TRANSFER_ENCODING)
		return 501;
	if (error == HPE_INVALID_METHOD && is_request_line(data, size))
		return 501;
	return 400;
}

size_t http_request_parse(struct http_request *request, const char *data, size_t size)
{
	size_t used = http_parser_execute(&request->parser, &settings, data, size);
	enum http_errno error = HTTP_PARSER_ERRNO(&request->parser);

	if (error == HPE_OK || (error == HPE_PAUSED && request->is_complete))
		return used;
	/* Callbacks that failed have set the status. */
	if (request->status == 0)
		request->status = status_of_error(error, data, size);
	request->is_complete = true;
	request->keep_alive = false;
	return size;
}

/* ---- Path. ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes "%xx" of the 'size' bytes at 'from'.  False: malformed, a null byte, or no room. */
static bool decode(const char *from, size_t size, char *path, size_t path_size)
{
	size_t out = 0;

	for (size_t i = 0; i < size; i++) {
		char c = from[i];

		if (c == '%') {
			bool has_digits = size - i > 2;
			int high = has_digits ? hex_digit(from[i + 1]) : -1;
			int low = has_digits ? hex_digit(from[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0' || out + 1 >= path_size)
			return false;
		path[out++] = c;
	}
	path[out] = '\0';
	return true;
}

unsigned http_request_path(const struct http_request *request, char *path, size_t size)
{
	struct http_parser_url url;
	const char *from;
	size_t from_size;

	http_parser_url_init(&url);
	if (http_parser_parse_url(request->target, request->target_size, 0, &url) != 0)
		return 400;
	if (!(url.field_set & (1 << UF_PATH))) {
		path[0] = '\0';
		return 0;
	}
	from = request->target + url.field_data[UF_PATH].off;
	from_size = url.field_data[UF_PATH].len;
	while (from_size > 0 && *from == '/') {
		from++;
		from_size--;
	}
	return decode(from, from_size, path, size) ? 0 : 400;
}
