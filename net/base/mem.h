/*
 * The one door to the heap for memory that grows: what connections remember of data in flight.
 * Thread-safe, never blocks; called with any lock held.
 */
#ifndef WEFT_BASE_MEM_H
#define WEFT_BASE_MEM_H

#include <stddef.h>

/*
 * Memory of 'size' bytes with what 'old' (NULL: nothing) held, which is gone then.  NULL when there is
 * none: 'old' stays as it is.  Size 0 frees 'old' and returns NULL.
 */
void *mem_resize(void *old, size_t size);

#endif
