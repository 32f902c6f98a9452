/*
 * The hosts file; see hosts_file.h.  Any thread.
 *
 * A file system's times have a grain: a file that is changed twice within it looks the same.  What was read
 * less than SETTLE_S after its last change is therefore read again by the next who asks.
 */
#include "api/names/hosts_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SETTLE_S = 2 };

struct hosts_copy {
	struct hosts *hosts;
	unsigned users; /* guarded by the file's mutex; the file is one */
};

void hosts_file_init(struct hosts_file *file, const char *path)
{
	mutex_init(&file->mutex);
	file->path = path;
	file->copy = NULL;
}

static void put_locked(struct hosts_file *file, struct hosts_copy *copy) REQUIRES(file->mutex)
{
	(void)file;
	if (!copy || --copy->users > 0)
		return;
	hosts_free(copy->hosts);
	free(copy);
}

void hosts_file_fini(struct hosts_file *file)
{
	mutex_lock(&file->mutex);
	put_locked(file, file->copy);
	file->copy = NULL;
	mutex_unlock(&file->mutex);
	mutex_fini(&file->mutex);
}

/* Up to 'size' bytes, fewer at the end of the file or when it cannot be read. */
static size_t read_all(int fd, char *text, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, text + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

/* A cut last line could be another name's: it is left out. */
static size_t whole_lines(const char *text, size_t size)
{
	while (size > 0 && text[size - 1] != '\n')
		size--;
	return size;
}

static int parse_open(int fd, off_t size, struct hosts_copy **copy)
{
	size_t want = size < HOSTS_BYTES_MAX ? (size_t)size : HOSTS_BYTES_MAX;
	char *text = malloc(want + 1);
	struct hosts_copy *made = malloc(sizeof(*made));

	if (!text || !made) {
		free(text);
		free(made);
		return -ENOMEM;
	}
	size_t got = read_all(fd, text, want);

	if (size > HOSTS_BYTES_MAX)
		got = whole_lines(text, got);
	*made = (struct hosts_copy){hosts_parse(text, got), 1};
	if (!made->hosts) {
		free(made);
		return -ENOMEM;
	}
	*copy = made;
	return 0;
}

/* '*copy' stays NULL when there is nothing to read. */
static int read_file(const char *path, struct stat *stamp, struct hosts_copy **copy)
{
	/* Not to wait for a FIFO's writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int rc = 0;

	if (fd < 0)
		return 0;
	if (fstat(fd, stamp) == 0 && S_ISREG(stamp->st_mode))
		rc = parse_open(fd, stamp->st_size, copy);
	(void)close(fd);
	return rc;
}

static bool is_time_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       is_time_equal(&a->st_mtim, &b->st_mtim) && is_time_equal(&a->st_ctim, &b->st_ctim);
}

static int refresh(struct hosts_file *file) REQUIRES(file->mutex)
{
	struct hosts_copy *fresh = NULL;
	struct stat now;
	struct timespec clock;

	if (!*file->path)
		return 0;
	if (file->copy && file->is_settled && stat(file->path, &now) == 0 &&
	    is_unchanged(&now, &file->stamp))
		return 0;
	(void)clock_gettime(CLOCK_REALTIME, &clock);
	int rc = read_file(file->path, &file->stamp, &fresh);

	if (rc < 0)
		return rc;
	put_locked(file, file->copy);
	file->copy = fresh;
	file->is_settled = fresh && clock.tv_sec - file->stamp.st_ctim.tv_sec > SETTLE_S;
	return 0;
}

int hosts_file_get(struct hosts_file *file, struct hosts_copy **copy)
{
	mutex_lock(&file->mutex);
	int rc = refresh(file);

	*copy = rc == 0 ? file->copy : NULL;
	if (*copy)
		(*copy)->users++;
	mutex_unlock(&file->mutex);
	return rc;
}

void hosts_file_put(struct hosts_file *file, struct hosts_copy *copy)
{
	mutex_lock(&file->mutex);
	put_locked(file, copy);
	mutex_unlock(&file->mutex);
}

const struct hosts *hosts_file_hosts(const struct hosts_copy *copy)
{
	return copy->hosts;
}
