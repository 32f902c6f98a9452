/*
 * A hosts file on disk and what was last read of it, which many threads may use at once: it is read again
 * when it changes.  The file's mutex is a leaf; reading happens under it.
 */
#ifndef WEFT_NAMES_HOSTS_FILE_H
#define WEFT_NAMES_HOSTS_FILE_H

#include "api/names/hosts.h"
#include "net/base/sync.h"
#include <sys/stat.h>

struct hosts_copy; /* what was read, with a count of users */

struct hosts_file {
	const char *path; /* owned by who embeds this */
	struct mutex mutex;
	/* Guarded by 'mutex'. */
	struct hosts_copy *copy; /* NULL: nothing was read */
	struct stat stamp;       /* of 'copy' */
	bool is_settled;         /* a change would show in 'stamp' */
};

/* 'path' must live as long; "" is no file. */
void hosts_file_init(struct hosts_file *file, const char *path);

/* Nobody may use it any more. */
void hosts_file_fini(struct hosts_file *file);

/*
 * The file as it is now.  '*copy' is for hosts_file_put, and NULL when there is no such file, or it is none
 * that can be read: as if it were empty.  0 or -ENOMEM.
 */
int hosts_file_get(struct hosts_file *file, struct hosts_copy **copy) WARN_UNUSED;
void hosts_file_put(struct hosts_file *file, struct hosts_copy *copy);

/* The hosts of a copy that is not NULL. */
const struct hosts *hosts_file_hosts(const struct hosts_copy *copy);

#endif
