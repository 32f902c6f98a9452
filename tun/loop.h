/* The loop device: what a stack sends to itself. */
#ifndef WEFT_TUN_LOOP_H
#define WEFT_TUN_LOOP_H

#include "net/base/check.h"
#include "net/base/counters.h"
#include "weft/dev.h"
#include <stdint.h>

/*
 * Makes a device that reads what is written to it - 'mtu' 1280 to 65535, at most 'queue_max' packets
 * wait, losses are counted in 'ctr' (DROP_LOOP_QUEUE; DROP_DEV_WRITE for a packet that is too large),
 * which must outlive the device - 0, or -EINVAL or -ENOMEM with '*dev' untouched.  It has every
 * offload; what it reads keeps gso_size and carries WEFT_PKT_CSUM_VALID, for no byte has left the
 * machine.  Unlike other devices it takes writes from several threads at a time.  Ends with its close
 * function.
 */
WARN_UNUSED int loop_dev_new(struct weft_dev **dev, uint32_t mtu, uint32_t queue_max,
			     struct counters *ctr);

#endif
