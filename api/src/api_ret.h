/*
 * From the stack's results to POSIX ones: the only place in weft that writes errno.  Used by the
 * functions of weft.h only, as the last thing they do.
 */
#ifndef WEFT_API_API_RET_H
#define WEFT_API_API_RET_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

/* 0 or a value as it is; a negative errno becomes errno and -1. */
static inline ssize_t api_ret(ssize_t rc)
{
	if (rc >= 0)
		return rc;
	errno = (int)-rc;
	return -1;
}

/* The same for functions that return an int. */
static inline int api_ret_int(int rc)
{
	return (int)api_ret(rc);
}

/* For functions that return a pointer: NULL with errno from the negative 'rc'. */
static inline void *api_ret_null(int rc)
{
	errno = -rc;
	return NULL;
}

#endif
