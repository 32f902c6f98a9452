/*
 * http_file.h - files below the root of weft-httpd: opening them so that no path leads outside,
 * their dates, tags, types and ranges (RFC 9110 8 and 14).  Any thread; keeps no state.
 */
#ifndef EXAMPLES_HTTP_FILE_H
#define EXAMPLES_HTTP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { HTTP_DATE_SIZE = 32, HTTP_TAG_SIZE = 40 };

struct http_file {
	int fd; /* -1: not open */
	uint64_t size;
	time_t modified;
	const char *type; /* "text/html; charset=utf-8" */
	char modified_text[HTTP_DATE_SIZE];
	char tag[HTTP_TAG_SIZE]; /* with its quotation marks */
};

/* What of the file is asked for. */
enum http_range { RANGE_NONE, RANGE_GOOD, RANGE_UNSATISFIABLE };

/* Opens the root.  A descriptor, or -1 with errno; ENOSYS: this kernel has no openat2. */
int http_root_open(const char *path);

/*
 * Opens 'path' below 'root'; a directory's index.html for a path that is empty or ends with "/".
 * 0, or the status to answer with: 301 (a directory, add "/"), 403, 404, 500, 503.  The caller
 * closes file->fd.
 */
unsigned http_file_open(int root, const char *path, struct http_file *file);

/* "Sun, 06 Nov 1994 08:49:37 GMT" into 'text' of HTTP_DATE_SIZE bytes. */
void http_date_text(time_t when, char *text);

/* Reads a Range field for a file of 'size' bytes; more than one range is like none. */
enum http_range http_range_parse(const char *text, uint64_t size, uint64_t *first, uint64_t *count);

/* Whether the client's copy is still good, by If-None-Match or else If-Modified-Since. */
bool http_file_is_unchanged(const struct http_file *file, const char *none_match,
			    const char *modified_since);

#endif
