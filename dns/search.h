/*
 * The names that are tried for a name, as resolv.conf(5) says: as it is and below the domains of the search
 * list, in an order that the number of dots decides.  Pure.
 */
#ifndef WEFT_DNS_SEARCH_H
#define WEFT_DNS_SEARCH_H

#include "dns/settings.h"

struct search {
	const struct settings *settings;
	const char *name;
	unsigned next;      /* number of the next candidate */
	bool is_bare_first; /* as it is first, else last */
	bool is_absolute;   /* ends in a dot: no search */
};

void search_begin(struct search *search, const struct settings *settings, const char *name);

/* The next candidate into 'text' of WEFT_NAME_SIZE bytes, without a final dot; false: no more. */
bool search_next(struct search *search, char *text) WARN_UNUSED;

#endif
