/*
 * The contents of a hosts file, hosts(5): lines of an address and its names, the first of which is the
 * canonical one.  Parsed once, then only read: any thread, no lock.
 */
#ifndef WEFT_NAMES_HOSTS_H
#define WEFT_NAMES_HOSTS_H

#include "net/base/check.h"
#include <stdbool.h>
#include <stddef.h>
#include <weft/netdb.h>

enum {
	HOSTS_BYTES_MAX = 8 << 20,   /* of the file that are read; what is beyond is not there */
	HOSTS_NAMES_MAX = 256 << 10, /* the same for names */
};

struct hosts;

/*
 * Takes 'text' of 'size' bytes, from malloc, with one more byte behind it for a NUL, in any case.  NULL: no
 * memory.  Lines that make no sense are left out, as are names that are longer than 253 bytes or have
 * control characters.
 */
struct hosts *hosts_parse(char *text, size_t size) WARN_UNUSED;
void hosts_free(struct hosts *hosts);

/*
 * Adds the addresses of 'name' that are of 'family' (AF_UNSPEC: all) to '*out', each once, in the file's
 * order, and sets the canonical name if it was "".  Whether there was one.
 */
bool hosts_lookup(const struct hosts *hosts, const char *name, int family,
		  struct weft_name_addrs *out) WARN_UNUSED;

/* The canonical name of the first line with the address, good as long as 'hosts'; NULL: none. */
const char *hosts_reverse(const struct hosts *hosts, const struct weft_name_addr *addr) WARN_UNUSED;

#endif
