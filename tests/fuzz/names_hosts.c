/*
 * Fuzzes the parser of hosts files.  Input: the file.  Invariants: every name that stands behind an address
 * in a line can be found, in any case, with that line's address; what is found is one of the file's; no
 * byte outside of the text is looked at.
 */
#include "api/names/hostname.h"
#include "api/names/hosts.h"
#include "api/names/literal.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void check_found(const struct hosts *hosts, const char *name)
{
	struct weft_name_addrs out = {.count = 0};

	if (!hosts_lookup(hosts, name, AF_UNSPEC, &out)) {
		FUZZ_CHECK(out.count == 0);
		return;
	}
	FUZZ_CHECK(out.count > 0 && out.count <= WEFT_NAME_ADDRS_MAX);
	FUZZ_CHECK(out.canonical[0] && strlen(out.canonical) <= HOSTNAME_MAX);
	for (unsigned i = 0; i < out.count; i++)
		FUZZ_CHECK(hosts_reverse(hosts, &out.addrs[i]) != NULL);
}

/* The first line by itself, so that what it must give is plain. */
static void check_line(const struct hosts *hosts, char *line)
{
	static const char blanks[] = " \t\r\v\f";
	struct weft_name_addr addr;
	struct weft_name_addrs out = {.count = 0};
	char *rest;

	line[strcspn(line, "#")] = '\0';
	char *token = strtok_r(line, blanks, &rest);

	if (!token || !literal_read(token, false, &addr))
		return;
	char *name = strtok_r(NULL, blanks, &rest);

	if (!name || strlen(name) > HOSTNAME_MAX || !hostname_is_askable(name))
		return;
	for (char *at = name; *at; at++)
		if (*at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
	FUZZ_CHECK(hosts_lookup(hosts, name, addr.family, &out));
	FUZZ_CHECK(out.addrs[0].family == addr.family);
	FUZZ_CHECK(memcmp(out.addrs[0].bytes, addr.bytes, sizeof(addr.bytes)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *line = malloc(size + 1);

	FUZZ_CHECK(text && line);
	memcpy(text, data, size);
	memcpy(line, data, size);
	line[size] = '\0';
	line[strcspn(line, "\n")] = '\0';
	struct hosts *hosts = hosts_parse(text, size);

	FUZZ_CHECK(hosts);
	check_found(hosts, "localhost");
	check_found(hosts, "a");
	check_line(hosts, line);
	hosts_free(hosts);
	free(line);
	return 0;
}
