/* Settings of the resolver; see settings.h. */
#include "dns/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char blanks[] = " \t\r\v\f";
static const char separators[] = " \t\r\n,";

static int fail(char *why, size_t why_size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(char *why, size_t why_size, const char *format, ...)
{
	va_list args;

	if (why && why_size > 0) {
		va_start(args, format);
		(void)vsnprintf(why, why_size, format, args);
		va_end(args);
	}
	return -EINVAL;
}

/* A number in decimal up to 'max'; larger ones are 'max'.  False: no number. */
static bool read_number(const char *text, uint32_t max, uint32_t *out)
{
	uint32_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint32_t)(*text - '0');
		if (value > max)
			value = max;
	}
	*out = value;
	return true;
}

/* ---- Servers and domains. ---- */

/* Cuts "[A]:P", "[A]" and "192.0.2.1:P" into address and port, NULL: none.  False: malformed. */
static bool split_port(char *text, char **host, char **port)
{
	char *colon = strchr(text, ':');

	*host = text;
	*port = NULL;
	if (text[0] == '[') {
		char *end = strchr(text, ']');

		if (!end || (end[1] && end[1] != ':'))
			return false;
		*port = end[1] ? end + 2 : NULL;
		*end = '\0';
		*host = text + 1;
	} else if (colon && !strchr(colon + 1, ':')) {
		*colon = '\0';
		*port = colon + 1;
	}
	return true;
}

/*
 * A link-local address may name its link, "fe80::1%eth0": a stack has one, whatever the host calls it, so
 * the name only goes.
 */
static bool read_addr6(char *host, struct ares_addr_port_node *server)
{
	char *scope = strchr(host, '%');
	struct in6_addr addr;

	if (scope)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, host, &addr) != 1 ||
	    (scope && (!*scope || !IN6_IS_ADDR_LINKLOCAL(&addr))))
		return false;
	memcpy(&server->addr.addr6, &addr, sizeof(addr));
	return true;
}

/* 'text' is written to. */
static bool add_server(char *text, struct settings *out)
{
	struct ares_addr_port_node server = {.udp_port = 53, .tcp_port = 53};
	char *host;
	char *port;
	uint32_t number = 53;

	if (!split_port(text, &host, &port) ||
	    (port &&
	     (!read_number(port, UINT16_MAX + 1, &number) || number > UINT16_MAX || number == 0)))
		return false;
	server.udp_port = (int)number;
	server.tcp_port = (int)number;
	if (inet_pton(AF_INET, host, &server.addr.addr4) == 1)
		server.family = AF_INET;
	else if (read_addr6(host, &server))
		server.family = AF_INET6;
	else
		return false;
	if (out->server_count < WEFT_DNS_SERVERS_MAX)
		out->servers[out->server_count++] = server;
	return true;
}

static bool add_domain(const char *name, struct settings *out)
{
	size_t length = strlen(name);

	if (!hostname_is_askable(name))
		return false;
	if (name[length - 1] == '.')
		length--;
	if (out->search_count == WEFT_DNS_SEARCH_MAX)
		return true;
	memcpy(out->search[out->search_count], name, length);
	out->search[out->search_count++][length] = '\0';
	return true;
}

/* ---- resolv.conf. ---- */

static void take_option(const char *option, struct settings *out)
{
	uint32_t seconds;

	if (strncmp(option, "ndots:", 6) == 0)
		(void)read_number(option + 6, SETTINGS_NDOTS_MAX, &out->ndots);
	else if (strncmp(option, "attempts:", 9) == 0)
		(void)read_number(option + 9, SETTINGS_TRIES_MAX, &out->tries);
	else if (strncmp(option, "timeout:", 8) == 0 && read_number(option + 8, 30, &seconds))
		out->timeout_ms = seconds * 1000;
	else if (strcmp(option, "rotate") == 0)
		out->rotate = true;
	else if (strcmp(option, "use-vc") == 0)
		out->tcp_only = true;
}

static void take_line(char *line, struct settings *out)
{
	char *rest;
	char *key = strtok_r(line, blanks, &rest);
	char *value = key ? strtok_r(NULL, blanks, &rest) : NULL;

	if (!value || key[0] == '#' || key[0] == ';')
		return;
	if (strcmp(key, "nameserver") == 0) {
		(void)add_server(value, out);
	} else if (strcmp(key, "search") == 0 || strcmp(key, "domain") == 0) {
		/* The last such line counts. */
		out->search_count = 0;
		for (; value; value = strtok_r(NULL, blanks, &rest))
			(void)add_domain(value, out);
	} else if (strcmp(key, "options") == 0) {
		for (; value; value = strtok_r(NULL, blanks, &rest))
			take_option(value, out);
	}
}

void settings_parse(char *text, struct settings *out)
{
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		take_line(line, out);
}

static int read_file(const char *path, struct settings *out, char *why, size_t why_size)
{
	size_t size = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		int error = errno;

		(void)fail(why, why_size, "%s: %s", path, strerror(error));
		return -error;
	}
	char *text = malloc(SETTINGS_FILE_MAX + 1);

	while (text && size < SETTINGS_FILE_MAX &&
	       (n = read(fd, text + size, SETTINGS_FILE_MAX - size)) > 0)
		size += (size_t)n;
	int error = text ? errno : ENOMEM;

	(void)close(fd);
	if (text && n >= 0) {
		text[size] = '\0';
		settings_parse(text, out);
		error = 0;
	} else {
		(void)fail(why, why_size, "%s: %s", path, strerror(error));
	}
	free(text);
	return -error;
}

/* ---- The config. ---- */

/* A list of servers or of domains in place of the file's. */
static int take_list(const char *list, struct settings *out, bool is_servers, char *why,
		     size_t why_size)
{
	char *copy = strdup(list);
	char *rest;

	if (!copy)
		return -ENOMEM;
	int rc = 0;

	if (is_servers)
		out->server_count = 0;
	else
		out->search_count = 0;
	for (char *at = strtok_r(copy, separators, &rest); at && rc == 0;
	     at = strtok_r(NULL, separators, &rest)) {
		if (!(is_servers ? add_server(at, out) : add_domain(at, out)))
			rc = fail(why, why_size, "%s: not %s: %s",
				  is_servers ? "servers" : "search",
				  is_servers ? "ADDRESS or ADDRESS:PORT" : "a domain", at);
	}
	free(copy);
	return rc;
}

static int take_numbers(const struct weft_dns_config *config, struct settings *out, char *why,
			size_t why_size)
{
	if (config->ndots > SETTINGS_NDOTS_MAX)
		return fail(why, why_size, "ndots is above %d", SETTINGS_NDOTS_MAX);
	if (config->tries > SETTINGS_TRIES_MAX)
		return fail(why, why_size, "tries is above %d", SETTINGS_TRIES_MAX);
	if (config->timeout_ms > SETTINGS_TIME_MAX_MS || config->total_ms > SETTINGS_TIME_MAX_MS)
		return fail(why, why_size, "timeout_ms or total_ms is above %d",
			    SETTINGS_TIME_MAX_MS);
	out->ndots = config->ndots ? config->ndots : out->ndots;
	out->tries = config->tries ? config->tries : out->tries;
	out->timeout_ms = config->timeout_ms ? config->timeout_ms : out->timeout_ms;
	out->total_ms = config->total_ms ? config->total_ms : out->total_ms;
	out->rotate = out->rotate || config->rotate;
	out->tcp_only = out->tcp_only || config->tcp_only;
	/* "attempts:0" and "timeout:0" of a file. */
	out->tries = out->tries ? out->tries : 1;
	out->timeout_ms = out->timeout_ms ? out->timeout_ms : 1000;
	return 0;
}

int settings_read(const struct weft_dns_config *config, struct settings *out, char *why,
		  size_t why_size)
{
	int rc = 0;

	*out = (struct settings){.ndots = 1, .timeout_ms = 5000, .tries = 2, .total_ms = 30000};
	if (config->resolv_conf)
		rc = read_file(config->resolv_conf, out, why, why_size);
	if (rc == 0 && config->servers)
		rc = take_list(config->servers, out, true, why, why_size);
	if (rc == 0 && config->search)
		rc = take_list(config->search, out, false, why, why_size);
	if (rc == 0)
		rc = take_numbers(config, out, why, why_size);
	if (rc == 0 && out->server_count == 0)
		rc = fail(why, why_size, "no DNS server is named");
	return rc;
}
