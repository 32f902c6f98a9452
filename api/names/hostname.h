/*
 * What a host's name may look like, and which names are special (RFC 1035 2.3.4, RFC 6761, RFC 7686).  Pure:
 * any thread, no lock.
 */
#ifndef WEFT_NAMES_HOSTNAME_H
#define WEFT_NAMES_HOSTNAME_H

#include "net/base/check.h"
#include <stdbool.h>
#include <stddef.h>

enum {
	HOSTNAME_MAX = 253, /* bytes without a final dot: 255 on the wire */
	HOSTNAME_LABEL_MAX = 63,
};

/*
 * Whether somebody may be asked for 'name': labels of 1 to 63 visible ASCII bytes without a backslash, 253
 * in all, and perhaps a final dot.
 */
bool hostname_is_askable(const char *name) WARN_UNUSED;

/* Whether names are equal but for case (of ASCII) and a final dot. */
bool hostname_equal(const char *a, const char *b) WARN_UNUSED;

/* By bytes without case, for sorting: < 0, 0, > 0. */
int hostname_compare(const char *a, const char *b) WARN_UNUSED;

/* localhost, or a name below it: the loopback address, whatever files say (RFC 6761 6.3). */
bool hostname_is_localhost(const char *name) WARN_UNUSED;

/* invalid and onion, and names below: nobody is asked (RFC 6761 6.4, RFC 7686 2). */
bool hostname_is_nobodys(const char *name) WARN_UNUSED;

#endif
