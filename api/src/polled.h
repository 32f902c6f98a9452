/* What a call of weft_poll or weft_select holds while it waits: it goes also with a cancelled thread. */
#ifndef WEFT_API_POLLED_H
#define WEFT_API_POLLED_H

#include "net/stack/poller.h"
#include "net/stack/proto.h"
#include <stdlib.h>

/* References on what is waited for. */
struct polled {
	struct poller_entry *entries;
	uint32_t count;
};

static inline void polled_end(const struct polled *polled)
{
	for (uint32_t i = 0; i < polled->count; i++)
		if (polled->entries[i].conn)
			proto_put(&polled->entries[i].conn);
}

static inline void polled_free(struct poller_entry **entries)
{
	free(*entries);
}

#endif
