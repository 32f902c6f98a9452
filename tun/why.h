/* The line that tells why a TUN device could not be opened. */
#ifndef WEFT_TUN_WHY_H
#define WEFT_TUN_WHY_H

#include <stddef.h>

/* The caller's buffer; 'text' may be NULL. */
struct why {
	char *text;
	size_t size;
};

/*
 * Writes "what: error text" for the negative errno value 'err', with a hint about rights when that
 * is the reason; 'what' is a printf format.  Returns 'err'.
 */
int why_set(const struct why *why, int err, const char *what, ...)
	__attribute__((format(printf, 3, 4)));

#endif
