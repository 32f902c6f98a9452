/*
 * Servers, search list and times of a resolver: from struct weft_dns_config and a resolv.conf(5) file.
 * Made on the thread that attaches, then only read.
 */
#ifndef WEFT_DNS_SETTINGS_H
#define WEFT_DNS_SETTINGS_H

#include "api/names/hostname.h"
#include <ares.h>
#include <weft/dns.h>

enum {
	SETTINGS_NDOTS_MAX = 15,
	SETTINGS_TRIES_MAX = 10,
	SETTINGS_TIME_MAX_MS = 600000,
	SETTINGS_FILE_MAX = 64 << 10, /* bytes of resolv.conf that are read */
};

struct settings {
	struct ares_addr_port_node servers[WEFT_DNS_SERVERS_MAX]; /* not linked */
	unsigned server_count;
	char search[WEFT_DNS_SEARCH_MAX][HOSTNAME_MAX + 1];
	unsigned search_count;
	uint32_t ndots;
	uint32_t timeout_ms;
	uint32_t tries;
	uint32_t total_ms;
	bool rotate;
	bool tcp_only;
};

/* 0, or -errno with a line in 'why'. */
int settings_read(const struct weft_dns_config *config, struct settings *out, char *why,
		  size_t why_size) WARN_UNUSED;

/* The lines of a resolv.conf, 'text' is written to; what makes no sense is left out. */
void settings_parse(char *text, struct settings *out);

#endif
