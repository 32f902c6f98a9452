/* Search lists; see search.h. */
#include "dns/search.h"

#include <stdio.h>
#include <string.h>

void search_begin(struct search *search, const struct settings *settings, const char *name)
{
	size_t length = strlen(name);
	uint32_t dots = 0;

	for (size_t i = 0; i < length; i++)
		dots += name[i] == '.';
	*search = (struct search){
		.settings = settings,
		.name = name,
		.is_bare_first = dots >= settings->ndots,
		.is_absolute = name[length - 1] == '.',
	};
}

/* False: it would be longer than a name may be. */
static bool join(const char *name, const char *domain, char *text)
{
	int length = snprintf(text, WEFT_NAME_SIZE, "%s.%s", name, domain);

	return length <= HOSTNAME_MAX;
}

/* Nobody is asked for names that are special (RFC 6761 6.3, 6.4), whichever list makes one. */
static bool is_special(const char *name)
{
	return hostname_is_localhost(name) || hostname_is_nobodys(name);
}

bool search_next(struct search *search, char *text)
{
	const struct settings *settings = search->settings;
	unsigned domains = search->is_absolute ? 0 : settings->search_count;

	while (search->next <= domains) {
		unsigned number = search->next++;
		bool is_bare = search->is_bare_first ? number == 0 : number == domains;
		unsigned domain = number - (search->is_bare_first ? 1 : 0);

		if (!is_bare && join(search->name, settings->search[domain], text) &&
		    !is_special(text))
			return true;
		if (!is_bare)
			continue;
		size_t length = strlen(search->name) - (search->is_absolute ? 1 : 0);

		memcpy(text, search->name, length);
		text[length] = '\0';
		return true;
	}
	return false;
}
