/*
 * Copying payload.  Any thread.
 */
#ifndef WEFT_BASE_COPY_H
#define WEFT_BASE_COPY_H

#include <stddef.h>

/* As memcpy, without its worst case for large copies (copy.c).  'size' may be 0. */
void copy_bytes(void *dst, const void *src, size_t size);

#endif
