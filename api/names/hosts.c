/*
 * A parsed hosts file; see hosts.h.  Names point into the text.  They are sorted without regard to case,
 * those that are equal by line, and found by bisection: block lists have a hundred thousand.
 */
#include "api/names/hosts.h"

#include "api/names/hostname.h"
#include "api/names/literal.h"
#include <stdlib.h>
#include <string.h>

struct line {
	struct weft_name_addr addr;
	const char *canonical;
};

struct name {
	const char *text;
	uint32_t line;
};

struct hosts {
	char *text;
	struct line *lines;
	struct name *names;
	uint32_t line_count, line_room;
	uint32_t name_count, name_room;
};

/* Room for one more; false: no memory. */
static bool grow(void **array, uint32_t count, uint32_t *room, size_t size)
{
	if (count < *room)
		return true;
	uint32_t more = *room ? *room * 2 : 16;
	void *bigger = realloc(*array, more * size);

	if (!bigger)
		return false;
	*array = bigger;
	*room = more;
	return true;
}

static bool is_name(const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return length <= HOSTNAME_MAX;
}

static bool add_name(struct hosts *hosts, const char *text, uint32_t line)
{
	if (!grow((void **)&hosts->names, hosts->name_count, &hosts->name_room,
		  sizeof(*hosts->names)))
		return false;
	hosts->names[hosts->name_count++] = (struct name){text, line};
	return true;
}

static bool add_line(struct hosts *hosts, const struct weft_name_addr *addr, const char *canonical)
{
	if (!grow((void **)&hosts->lines, hosts->line_count, &hosts->line_room,
		  sizeof(*hosts->lines)))
		return false;
	hosts->lines[hosts->line_count++] = (struct line){*addr, canonical};
	return true;
}

/* One line, which ends in a NUL.  False: no memory. */
static bool parse_line(struct hosts *hosts, char *text)
{
	static const char blanks[] = " \t\r\v\f";
	struct weft_name_addr addr;
	char *rest;

	text[strcspn(text, "#")] = '\0';
	char *token = strtok_r(text, blanks, &rest);

	if (!token || !literal_read(token, false, &addr))
		return true;
	bool is_first = true;

	while ((token = strtok_r(NULL, blanks, &rest)) != NULL) {
		if (!is_name(token))
			continue;
		if (hosts->name_count == HOSTS_NAMES_MAX)
			return true;
		if (is_first && !add_line(hosts, &addr, token))
			return false;
		is_first = false;
		if (!add_name(hosts, token, hosts->line_count - 1))
			return false;
	}
	return true;
}

static int compare_names(const void *a, const void *b)
{
	const struct name *left = a;
	const struct name *right = b;
	int order = hostname_compare(left->text, right->text);

	if (order != 0)
		return order;
	return left->line < right->line ? -1 : left->line > right->line;
}

static bool parse_text(struct hosts *hosts, size_t size)
{
	char *at = hosts->text;
	char *end = at + size;

	*end = '\0';
	while (at < end) {
		char *stop = memchr(at, '\n', (size_t)(end - at));

		if (!stop)
			stop = end;
		*stop = '\0';
		/* A NUL in a line ends what there is to see of it. */
		if (!parse_line(hosts, at))
			return false;
		at = stop + 1;
	}
	if (hosts->name_count > 0)
		qsort(hosts->names, hosts->name_count, sizeof(*hosts->names), compare_names);
	return true;
}

struct hosts *hosts_parse(char *text, size_t size)
{
	struct hosts *hosts = calloc(1, sizeof(*hosts));

	if (!hosts) {
		free(text);
		return NULL;
	}
	hosts->text = text;
	if (parse_text(hosts, size))
		return hosts;
	hosts_free(hosts);
	return NULL;
}

void hosts_free(struct hosts *hosts)
{
	if (!hosts)
		return;
	free(hosts->lines);
	free(hosts->names);
	free(hosts->text);
	free(hosts);
}

/* Where 'name' begins among the sorted names, or would. */
static uint32_t find_first(const struct hosts *hosts, const char *name)
{
	uint32_t low = 0;
	uint32_t high = hosts->name_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (hostname_compare(hosts->names[middle].text, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_same(const struct weft_name_addr *a, const struct weft_name_addr *b)
{
	return a->family == b->family && a->scope_id == b->scope_id &&
	       memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static void add_addr(struct weft_name_addrs *out, const struct weft_name_addr *addr)
{
	for (unsigned i = 0; i < out->count; i++)
		if (is_same(&out->addrs[i], addr))
			return;
	if (out->count < WEFT_NAME_ADDRS_MAX)
		out->addrs[out->count++] = *addr;
}

bool hosts_lookup(const struct hosts *hosts, const char *name, int family,
		  struct weft_name_addrs *out)
{
	bool is_found = false;

	for (uint32_t i = find_first(hosts, name); i < hosts->name_count; i++) {
		if (hostname_compare(hosts->names[i].text, name) != 0)
			break;
		const struct line *line = &hosts->lines[hosts->names[i].line];

		if (family != AF_UNSPEC && family != line->addr.family)
			continue;
		if (!out->canonical[0])
			memcpy(out->canonical, line->canonical, strlen(line->canonical) + 1);
		add_addr(out, &line->addr);
		is_found = true;
	}
	return is_found;
}

const char *hosts_reverse(const struct hosts *hosts, const struct weft_name_addr *addr)
{
	for (uint32_t i = 0; i < hosts->line_count; i++)
		if (is_same(&hosts->lines[i].addr, addr))
			return hosts->lines[i].canonical;
	return NULL;
}
