/* The heap, for net/tcp by way of tcp_cfg: see mem.h. */
#include "net/base/mem.h"

#include <stdlib.h>

void *mem_resize(void *old, size_t size)
{
	if (size > 0)
		return realloc(old, size);
	free(old);
	return NULL;
}
