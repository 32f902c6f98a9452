/* Flow labels; see flow_label.h.  Emitters, without a lock. */
#include "net/ip/flow_label.h"

#include "net/base/mechanism.h"
#include <string.h>

uint32_t flow_label(const struct khash_key *key, const struct flow *flow, uint8_t tries)
{
	uint8_t data[sizeof(*flow) + 1];

	memcpy(data, flow, sizeof(*flow));
	data[sizeof(*flow)] = MECHANISM(flow_label_tries) ? tries : 0;
	uint32_t label = (uint32_t)khash(key, data, sizeof(data)) & FLOW_LABEL_MASK;

	return label ? label : 1; /* 0 means none */
}
