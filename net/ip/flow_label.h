/*
 * IPv6 flow labels (RFC 6437): routers that share load between paths choose by them.  The same for all
 * packets of a flow, records' and replies' included, until TCP says that the path does not deliver.
 * Pure; any thread.
 */
#ifndef WEFT_IP_FLOW_LABEL_H
#define WEFT_IP_FLOW_LABEL_H

#include "net/base/addr.h"
#include "net/base/khash.h"

enum { FLOW_LABEL_MASK = 0xfffff };

/* The label of a flow that has been told 'tries' times of a bad path: 20 bits, never 0. */
uint32_t flow_label(const struct khash_key *key, const struct flow *flow, uint8_t tries);

#endif
