/*
 * Error lines for tun.c and netlink.c, written on the thread that opens the device.
 */
#include "tun/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *hint(int err)
{
	return err == -EPERM || err == -EACCES ? " (needs root or CAP_NET_ADMIN)" : "";
}

int why_set(const struct why *why, int err, const char *what, ...)
{
	char place[160];
	va_list args;

	if (!why->text || why->size == 0)
		return err;
	va_start(args, what);
	vsnprintf(place, sizeof(place), what, args);
	va_end(args);
	const char *text = strerrordesc_np(-err);
	snprintf(why->text, why->size, "%s: %s%s", place, text ? text : "unknown error", hint(err));
	return err;
}
