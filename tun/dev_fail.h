/*
 * How the public constructors of this folder fail: NULL, with the reason in errno.  The only place
 * here that writes errno; everything else passes negative errno values on.
 */
#ifndef WEFT_TUN_DEV_FAIL_H
#define WEFT_TUN_DEV_FAIL_H

#include <errno.h>
#include <stddef.h>

/* Stores the negative errno value 'err' in errno and returns NULL. */
static inline void *dev_fail(int err)
{
	errno = -err;
	return NULL;
}

#endif
