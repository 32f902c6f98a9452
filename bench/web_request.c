/*
 * Parsing a request's head; see web_request.h.  RFC 9112: request line 3, field lines 5, length of the
 * body 6.3, connections 9.
 */
#include "web_request.h"

#include <string.h>
#include <strings.h>

/* A stretch of the head. */
struct text {
	const char *at;
	size_t size;
};

static bool is_text(struct text t, const char *word)
{
	return t.size == strlen(word) && memcmp(t.at, word, t.size) == 0;
}

static bool is_word(struct text t, const char *word)
{
	return t.size == strlen(word) && strncasecmp(t.at, word, t.size) == 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* RFC 9110 5.6.2: what methods and names of fields are made of. */
static bool is_token(struct text t)
{
	for (size_t i = 0; i < t.size; i++) {
		char c = t.at[i];
		bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

		if (!is_alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return t.size > 0;
}

static struct text trim(struct text t)
{
	while (t.size > 0 && is_space(t.at[0])) {
		t.at++;
		t.size--;
	}
	while (t.size > 0 && is_space(t.at[t.size - 1]))
		t.size--;
	return t;
}

/* What is in front of 'c', or all; '*rest' is what is behind it.  Whether there was one. */
static bool split(struct text t, char c, struct text *first, struct text *rest)
{
	const char *found = memchr(t.at, c, t.size);

	*first = (struct text){t.at, found ? (size_t)(found - t.at) : t.size};
	*rest = (struct text){t.at + first->size + (found != NULL), t.size - first->size};
	if (found)
		rest->size--;
	return found != NULL;
}

static void refuse(struct web_request *request, unsigned status)
{
	request->status = status;
	request->keep_alive = false;
}

/* "GET /x HTTP/1.1".  False: it is none. */
static bool take_request_line(struct text line, struct web_request *request)
{
	struct text method, target, version;

	if (!split(line, ' ', &method, &target) || !split(target, ' ', &target, &version) ||
	    !is_token(method) || target.size == 0) {
		refuse(request, 400);
		return false;
	}
	request->is_http10 = is_text(version, "HTTP/1.0");
	if (!request->is_http10 && !is_text(version, "HTTP/1.1")) {
		bool is_other = version.size == 8 && memcmp(version.at, "HTTP/", 5) == 0;

		refuse(request, is_other ? 505 : 400);
		return false;
	}
	request->keep_alive = !request->is_http10;
	request->is_head = is_text(method, "HEAD");
	if (!request->is_head && !is_text(method, "GET"))
		request->status = 405;
	return true;
}

/* Whether a list with commas has 'word' (RFC 9110 5.6.1). */
static bool has_word(struct text list, const char *word)
{
	struct text item;
	bool has_more = true;

	while (has_more) {
		has_more = split(list, ',', &item, &list);
		if (is_word(trim(item), word))
			return true;
	}
	return false;
}

/* False: no number, or one that contradicts an earlier one. */
static bool take_length(struct text value, bool is_first, struct web_request *request)
{
	uint64_t size = 0;

	for (size_t i = 0; i < value.size; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return false;
		if (size <= WEB_BODY_MAX)
			size = size * 10 + (uint64_t)(value.at[i] - '0');
	}
	if (value.size == 0 || (!is_first && size != request->body_size))
		return false;
	request->body_size = size;
	return true;
}

/* What fields said that counts once all are read. */
struct fields {
	unsigned hosts;
	bool has_length;
	bool has_close;
	bool has_keep_alive;
};

/* RFC 9112 5.1: no space in front of the colon; 5.2: no folded lines. */
static void take_field(struct text line, struct fields *fields, struct web_request *request)
{
	struct text name, value;

	/* RFC 9112 2.2, RFC 9110 5.5: no CR of its own, no NUL. */
	if (!split(line, ':', &name, &value) || !is_token(name) ||
	    memchr(line.at, '\r', line.size) || memchr(line.at, '\0', line.size)) {
		refuse(request, 400);
		return;
	}
	value = trim(value);
	if (is_word(name, "host")) {
		fields->hosts++;
	} else if (is_word(name, "connection")) {
		fields->has_close |= has_word(value, "close");
		fields->has_keep_alive |= has_word(value, "keep-alive");
	} else if (is_word(name, "content-length")) {
		if (!take_length(value, !fields->has_length, request))
			refuse(request, 400);
		fields->has_length = true;
	} else if (is_word(name, "transfer-encoding")) {
		refuse(request, 501); /* RFC 9112 6.1: a coding that we do not know */
	} else if (is_word(name, "expect")) {
		refuse(request, 417);
	}
}

static void conclude(const struct fields *fields, struct web_request *request)
{
	if (fields->has_close)
		request->keep_alive = false;
	else if (request->is_http10 && fields->has_keep_alive && request->status < 400)
		request->keep_alive = true;
	/* RFC 9112 3.2 */
	if (fields->hosts != 1 && !(request->is_http10 && fields->hosts == 0))
		refuse(request, 400);
	else if (request->body_size > WEB_BODY_MAX)
		refuse(request, 413);
}

static struct text next_line(struct text *rest)
{
	struct text line;

	(void)split(*rest, '\n', &line, rest);
	if (line.size > 0 && line.at[line.size - 1] == '\r')
		line.size--;
	return line;
}

size_t web_request_parse(const char *data, size_t size, struct web_request *request)
{
	struct fields fields = {0};
	size_t skipped = 0;

	*request = (struct web_request){.status = 200};
	/* RFC 9112 2.2: an empty line in front of the request line is nothing. */
	if (size >= 2 && memcmp(data, "\r\n", 2) == 0)
		skipped = 2;
	const char *end = memmem(data + skipped, size - skipped, "\r\n\r\n", 4);

	if (!end) {
		if (size < WEB_HEAD_MAX)
			return 0;
		refuse(request, 431);
		return size;
	}
	struct text head = {data + skipped, (size_t)(end + 2 - data) - skipped};
	struct text line = next_line(&head);

	if (take_request_line(line, request)) {
		while (head.size > 0)
			take_field(next_line(&head), &fields, request);
		conclude(&fields, request);
	}
	return (size_t)(end + 4 - data);
}
