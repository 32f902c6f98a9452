/*
 * From struct weft_config to struct stack_config: defaults, ranges, addresses.  Pure; used by
 * weft_stack_open.
 */
#ifndef WEFT_API_CONFIG_H
#define WEFT_API_CONFIG_H

#include "net/base/check.h"
#include "net/stack/stack.h"

/* Where the reason of a failure goes: one line. */
struct config_why {
	char *text; /* may be NULL */
	size_t size;
};

enum {
	CONFIG_MTU_MIN = 1280,
	CONFIG_MTU_MAX = 65535,
	CONFIG_BUF_MIN = 4608,         /* least of rcvbuf, sndbuf and buf_max, bytes */
	CONFIG_BUF_MAX = 1 << 30,      /* what a window scale of 14 can announce */
	CONFIG_TIME_MAX_MS = 86400000, /* a day */
	CONFIG_RTO_MAX_MS = 1200000,   /* of each timeout: the core's times have 32 bits */
};

/* Writes the reason and returns 'rc'. */
int config_fail(const struct config_why *why, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Checks everything in 'config' and fills in all of '*out' but the device.  0 or -EINVAL with a
 * reason.
 */
int config_read(const struct weft_config *config, struct stack_config *out,
		const struct config_why *why) WARN_UNUSED;

#endif
