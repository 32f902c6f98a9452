/*
 * http_file.c - files for weft-httpd.  openat2 with RESOLVE_BENEATH makes the kernel refuse every
 * path that would leave the root, by "..", by a symbolic link or by a race with a rename.
 */
#include "http_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *suffix;
	const char *type;
} types[] = {
	{"html", "text/html; charset=utf-8"},
	{"htm", "text/html; charset=utf-8"},
	{"css", "text/css; charset=utf-8"},
	{"js", "text/javascript; charset=utf-8"},
	{"txt", "text/plain; charset=utf-8"},
	{"md", "text/markdown; charset=utf-8"},
	{"c", "text/plain; charset=utf-8"},
	{"h", "text/plain; charset=utf-8"},
	{"csv", "text/csv; charset=utf-8"},
	{"xml", "application/xml"},
	{"json", "application/json"},
	{"pdf", "application/pdf"},
	{"wasm", "application/wasm"},
	{"gz", "application/gzip"},
	{"zip", "application/zip"},
	{"png", "image/png"},
	{"jpg", "image/jpeg"},
	{"jpeg", "image/jpeg"},
	{"gif", "image/gif"},
	{"svg", "image/svg+xml"},
	{"webp", "image/webp"},
	{"ico", "image/x-icon"},
	{"mp4", "video/mp4"},
	{"webm", "video/webm"},
	{"mp3", "audio/mpeg"},
	{"ogg", "audio/ogg"},
	{"woff2", "font/woff2"},
};

static const char *type_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(dot + 1, types[i].suffix) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* O_NONBLOCK: a FIFO below the root must not hang the thread. */
static int open_beneath(int root, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int tries = 8;
	long fd;

	/* EAGAIN: something was renamed meanwhile, and the kernel cannot tell. */
	do
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && --tries > 0);
	return (int)fd;
}

int http_root_open(const char *path)
{
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (root < 0)
		return -1;
	fd = open_beneath(root, ".");
	if (fd < 0) {
		int error = errno;

		(void)close(root);
		errno = error;
		return -1;
	}
	(void)close(fd);
	return root;
}

static unsigned status_of_errno(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		return 404;
	case EXDEV: /* the path leads out of the root */
	case ELOOP:
	case EACCES:
	case EPERM:
	case ENXIO: /* a socket */
	case ENODEV:
		return 403;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
		return 503;
	default:
		return 500;
	}
}

/* Opens something; 0 or a status. */
static unsigned open_any(int root, const char *path, struct http_file *file, struct stat *st)
{
	file->fd = open_beneath(root, path);
	if (file->fd < 0)
		return status_of_errno(errno);
	if (fstat(file->fd, st) == 0)
		return 0;
	(void)close(file->fd);
	file->fd = -1;
	return 500;
}

/* The walk is confined to the directory itself here, which is narrower than the root. */
static unsigned open_index(struct http_file *file, struct stat *st)
{
	int dir = file->fd;
	unsigned status = open_any(dir, "index.html", file, st);

	(void)close(dir);
	/* There is no listing of directories. */
	return status == 404 ? 403 : status;
}

unsigned http_file_open(int root, const char *path, struct http_file *file)
{
	size_t path_size = strlen(path);
	bool is_dir_path = path_size == 0 || path[path_size - 1] == '/';
	struct stat st;
	unsigned status = open_any(root, path_size == 0 ? "." : path, file, &st);

	if (status == 0 && S_ISDIR(st.st_mode)) {
		if (is_dir_path) {
			status = open_index(file, &st);
			path = "index.html";
		} else {
			status = 301;
		}
	}
	if (status == 0 && !S_ISREG(st.st_mode))
		status = 403;
	if (status != 0) {
		if (file->fd >= 0)
			(void)close(file->fd);
		file->fd = -1;
		return status;
	}
	file->size = (uint64_t)st.st_size;
	file->modified = st.st_mtim.tv_sec;
	file->type = type_of(path);
	http_date_text(file->modified, file->modified_text);
	(void)snprintf(file->tag, sizeof(file->tag), "\"%" PRIx64 "-%" PRIx64 "\"",
		       (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec,
		       file->size);
	return 0;
}

void http_date_text(time_t when, char *text)
{
	struct tm tm;

	if (!gmtime_r(&when, &tm) ||
	    strftime(text, HTTP_DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
		text[0] = '\0';
}

/* Digits only; false on none or too many. */
static bool parse_digits(const char **text, uint64_t *number)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)**text))
		return false;
	for (; isdigit((unsigned char)**text); (*text)++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(**text - '0'), &value))
			return false;
	*number = value;
	return true;
}

/* "-500": the last 500 bytes. */
static enum http_range parse_suffix(const char *text, uint64_t size, uint64_t *first,
				    uint64_t *count)
{
	uint64_t wanted;

	if (!parse_digits(&text, &wanted) || *text != '\0')
		return RANGE_NONE;
	if (wanted == 0 || size == 0)
		return RANGE_UNSATISFIABLE;
	*count = wanted < size ? wanted : size;
	*first = size - *count;
	return RANGE_GOOD;
}

enum http_range http_range_parse(const char *text, uint64_t size, uint64_t *first, uint64_t *count)
{
	uint64_t last = UINT64_MAX;

	if (strncasecmp(text, "bytes=", 6) != 0)
		return RANGE_NONE;
	text += 6;
	if (*text == '-')
		return parse_suffix(text + 1, size, first, count);
	if (!parse_digits(&text, first) || *text++ != '-')
		return RANGE_NONE;
	if (*text != '\0' && (!parse_digits(&text, &last) || *text != '\0' || last < *first))
		return RANGE_NONE;
	if (*first >= size)
		return RANGE_UNSATISFIABLE;
	if (last >= size)
		last = size - 1;
	*count = last - *first + 1;
	return RANGE_GOOD;
}

bool http_file_is_unchanged(const struct http_file *file, const char *none_match,
			    const char *modified_since)
{
	struct tm tm = {0};
	const char *end;

	if (none_match[0] != '\0')
		return strcmp(none_match, "*") == 0 || strstr(none_match, file->tag) != NULL;
	if (modified_since[0] == '\0')
		return false;
	end = strptime(modified_since, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	return end && *end == '\0' && file->modified <= timegm(&tm);
}
