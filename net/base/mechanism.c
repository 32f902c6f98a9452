/*
 * The mutation check's answer to MECHANISM; only its own build has this file.  Reads the environment
 * before main; afterwards nothing but the list of names that were asked for changes, and that without
 * a lock: an entry that two threads make twice does no harm.
 *
 *	WEFT_MUTANT        the mechanism that is off
 *	WEFT_MUTANT_TRACE  a file to which every name is appended when it is first asked for
 */
#include "net/base/mechanism.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 1024, LINE_MAX = 80 }; /* a power of two */

static const char *off;
static int trace = -1;
static _Atomic(const char *) asked[NAMES_MAX];

__attribute__((constructor)) static void read_environment(void)
{
	const char *path = getenv("WEFT_MUTANT_TRACE");

	off = getenv("WEFT_MUTANT");
	if (path)
		trace = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* A literal's address is its site's: most names have one. */
static void note(const char *name)
{
	char line[LINE_MAX];
	unsigned i = (unsigned)((uintptr_t)name * 2654435761u >> 7) % NAMES_MAX;

	while (asked[i] && asked[i] != name)
		i = (i + 1) % NAMES_MAX;
	if (asked[i])
		return;
	asked[i] = name;
	int size = snprintf(line, sizeof(line), "%s\n", name);
	if (write(trace, line, (size_t)size) != size)
		abort();
}

bool mechanism_on(const char *name)
{
	if (trace >= 0)
		note(name);
	return !off || strcmp(off, name) != 0;
}
