/*
 * What a script sets before the stack opens: options, and commands for which weft has an equivalent.
 * What has none is refused with its name, not ignored: a script must not pass for the wrong reason.
 */
#include "drill.h"

#include "net/base/check.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 300, WORDS_MAX = 16 };

/* ---- Options. ---- */

/* Packetdrill's options that mean nothing here: how and where to run. */
static const char *const ignored[] = {
	"non_fatal",   "verbose",      "debug",           "speed",          "no_cleanup",
	"gateway_ip",  "netmask_ip",   "live_gateway_ip", "live_remote_ip", "wire_client",
	"wire_server", "init_scripts", "send_omit_free",  "dry_run",        "mss",
};

static bool option_number(struct drill *d, const struct option *o, long long min, long long max,
			  long long *value)
{
	char *end;

	*value = strtoll(o->value, &end, 0);
	if (*end || !*o->value || *value < min || *value > max)
		return drill_fail(d, o->line, "--%s is not a number in %lld..%lld: '%s'", o->name,
				  min, max, o->value);
	return true;
}

static bool set_version(struct drill *d, const struct option *o)
{
	bool is_v4 = strcmp(o->value, "ipv4") == 0;
	bool is_mapped = strcmp(o->value, "ipv4-mapped-ipv6") == 0;
	bool is_v6 = strcmp(o->value, "ipv6") == 0;

	if (!is_v4 && !is_mapped && !is_v6)
		return drill_fail(d, o->line, "--ip_version is ipv4, ipv6 or ipv4-mapped-ipv6");
	d->is_v6 = !is_v4;
	const char *local = is_v6 ? "fd3d:fa7b:d17d::1" : "192.168.0.1";
	const char *remote = is_v6 ? "2001:db8::1" : "192.0.2.1";
	bool is_ok = addr_parse(local, &d->peer.local) && addr_parse(remote, &d->peer.remote);

	WEFT_ASSERT(is_ok);
	return true;
}

static bool set_addr(struct drill *d, const struct option *o, struct addr *addr)
{
	struct addr parsed;

	if (!addr_parse(o->value, &parsed))
		return drill_fail(d, o->line, "--%s is not an IP address: '%s'", o->name, o->value);
	if (addr_is_v4(&parsed) != addr_is_v4(addr))
		return drill_fail(d, o->line, "--%s is not of --ip_version", o->name);
	*addr = parsed;
	return true;
}

static bool set_option(struct drill *d, const struct option *o)
{
	long long n;

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (strcmp(o->name, ignored[i]) == 0)
			return true;
	if (strcmp(o->name, "ip_version") == 0)
		return set_version(d, o);
	if (strcmp(o->name, "local_ip") == 0)
		return set_addr(d, o, &d->peer.local);
	if (strcmp(o->name, "remote_ip") == 0)
		return set_addr(d, o, &d->peer.remote);
	if (strcmp(o->name, "mtu") == 0 && option_number(d, o, 1280, 65535, &n))
		d->mtu = (uint32_t)n;
	else if (strcmp(o->name, "tolerance_usecs") == 0 && option_number(d, o, 0, 10000000, &n))
		d->peer.tolerance_us = n;
	else if (strcmp(o->name, "tcp_ts_tick_usecs") == 0 && option_number(d, o, 0, 1000000, &n))
		d->peer.ts_tick_us = n;
	else if (strcmp(o->name, "bind_port") == 0 && option_number(d, o, 1, 65535, &n))
		d->bind_port = (uint16_t)n;
	else if (strcmp(o->name, "connect_port") == 0 && option_number(d, o, 1, 65535, &n))
		d->connect_port = (uint16_t)n;
	else if (!d->has_failed)
		return drill_unsupported(d, o->line, "option --%s is not supported", o->name);
	return !d->has_failed;
}

bool settings_options(struct drill *d)
{
	char text[ADDR_TEXT_SIZE];

	/* The script's own come last and win. */
	for (const struct option *o = d->params->options; o; o = o->next)
		if (!set_option(d, o))
			return false;
	for (const struct option *o = d->script->options; o; o = o->next)
		if (!set_option(d, o))
			return false;
	bool is_v4 = addr_is_v4(&d->peer.local);

	(void)snprintf(is_v4 ? d->addr : d->addr6, sizeof(d->addr), "%s/%d",
		       addr_print(&d->peer.local, text), is_v4 ? 24 : 64);
	d->config.addr = is_v4 ? d->addr : NULL;
	d->config.addr6 = is_v4 ? NULL : d->addr6;
	return true;
}

/* ---- Settings. ---- */

#define FIELD(name)                                                                                \
	{                                                                                          \
#name, offsetof(struct weft_config, name), sizeof(((struct weft_config *)0)->name) \
	}

static const struct {
	const char *name;
	size_t at, size;
} fields[] = {
	FIELD(conns_max),
	FIELD(syn_backlog_max),
	FIELD(time_wait_max),
	FIELD(reply_queue_max),
	FIELD(buf_bytes_max),
	FIELD(rcvbuf),
	FIELD(sndbuf),
	FIELD(buf_max),
	FIELD(port_min),
	FIELD(port_max),
	FIELD(rto_min_ms),
	FIELD(rto_max_ms),
	FIELD(rto_initial_ms),
	FIELD(syn_timeout_ms),
	FIELD(synack_timeout_ms),
	FIELD(user_timeout_ms),
	FIELD(time_wait_ms),
	FIELD(fin_wait2_ms),
	FIELD(orphan_ms),
	FIELD(delack_ms),
	FIELD(seed),
	FIELD(plain_threads),
	FIELD(syn_cookies),
	FIELD(no_time_wait_reuse),
	FIELD(no_soft_errors),
	FIELD(time_wait_rst),
	FIELD(orphans_max),
	FIELD(challenge_acks_max),
	FIELD(challenge_interval_ms),
	FIELD(ecn),
	FIELD(fastopen),
	FIELD(mtu_probing),
	FIELD(icmp_rate),
	FIELD(no_icmp_errors),
	FIELD(pmtu_age_s),
};

static bool set_field(struct drill *d, int line, const char *name, long long value)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char *at = (char *)&d->config + fields[i].at;

		if (strcmp(fields[i].name, name) != 0)
			continue;
		if (value < 0 || (fields[i].size < 8 && value >> (8 * fields[i].size)))
			return drill_fail(d, line, "%s does not take %lld", name, value);
		memcpy(at, &value, fields[i].size); /* little-endian */
		return true;
	}
	return drill_unsupported(d, line, "weft has no setting %s", name);
}

/* Settings of Linux that weft has: what they do to struct weft_config. */
static const struct {
	const char *name;
	const char *field;
	long long factor;
} sysctls[] = {
	{"net.ipv4.tcp_fin_timeout", "fin_wait2_ms", 1000},
	{"net.ipv4.tcp_max_syn_backlog", "syn_backlog_max", 1},
	{"net.ipv4.tcp_max_tw_buckets", "time_wait_max", 1},
	{"net.ipv4.tcp_rto_min_us", "rto_min_ms", 0},
	{"net.ipv4.tcp_max_orphans", "orphans_max", 1},
	{"net.ipv4.tcp_fastopen", "fastopen", 1},
};

/* Those that weft has no switch for: the value at which Linux does what weft always does. */
static const struct {
	const char *name;
	const char *values; /* any of these words; NULL: makes no difference here */
} fixed[] = {
	{"net.ipv4.tcp_timestamps", "1"},
	{"net.ipv4.tcp_sack", "1"},
	{"net.ipv4.tcp_window_scaling", "1"},
	{"net.ipv4.tcp_abort_on_overflow", "0"},
	{"net.ipv4.tcp_stdurg", "0"},
	{"net.ipv4.tcp_no_metrics_save", NULL},
	{"net.ipv4.tcp_moderate_rcvbuf", NULL},
	{"net.ipv4.tcp_invalid_ratelimit", NULL},
	{"net.ipv4.tcp_min_tso_segs", NULL},
	{"net.ipv4.tcp_tso_win_divisor", NULL},
	{"net.ipv4.tcp_autocorking", NULL},
	{"net.core.somaxconn", NULL},
	{"net.ipv4.tcp_dsack", "1"},
	{"net.ipv4.tcp_frto", "1 2"},
	{"net.ipv4.tcp_recovery", "1"},
	{"net.ipv4.tcp_early_retrans", "3 4"},
	{"net.ipv4.tcp_reordering", "3"},
	{"net.ipv4.tcp_slow_start_after_idle", "0"},
	{"net.ipv4.tcp_ecn_fallback", "1"},
	{"net.ipv4.tcp_limit_output_bytes", NULL},
};

static bool set_memory(struct drill *d, int line, const char *value, bool is_rcv)
{
	long long low, normal, most;

	if (sscanf(value, "%lld %lld %lld", &low, &normal, &most) != 3)
		return drill_fail(d, line, "expected three sizes, not '%s'", value);
	if (most > d->config.buf_max)
		d->config.buf_max = (uint32_t)most;
	return set_field(d, line, is_rcv ? "rcvbuf" : "sndbuf", normal);
}

/* "a" among the words of "a b". */
static bool has_word(const char *words, const char *word)
{
	size_t size = strlen(word);
	const char *at = size > 0 ? strstr(words, word) : NULL;

	return at && (at == words || at[-1] == ' ') && (at[size] == ' ' || !at[size]);
}

static bool set_congestion(struct drill *d, int line, const char *name)
{
	static const char *const names[] = {"cubic", "reno", "bbr", "bbr1"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		d->config.congestion = names[i];
		return true;
	}
	return drill_unsupported(d, line, "weft has no congestion control %s", name);
}

static bool set_sysctl(struct drill *d, int line, const char *name, const char *value)
{
	char *end;
	long long number = strtoll(value, &end, 0);

	if (strcmp(name, "net.ipv4.tcp_rmem") == 0)
		return set_memory(d, line, value, true);
	if (strcmp(name, "net.ipv4.tcp_wmem") == 0)
		return set_memory(d, line, value, false);
	if (strcmp(name, "net.ipv4.tcp_rfc1337") == 0)
		return set_field(d, line, "time_wait_rst", number == 0);
	if (strcmp(name, "net.ipv4.tcp_ecn") == 0) {
		static const int modes[] = {
			WEFT_ECN_OFF,      WEFT_ECN_ON, WEFT_ECN_PASSIVE,
			WEFT_ECN_ACCURATE, -1,          WEFT_ECN_ACCURATE_PASSIVE};

		if (*end || number < 0 || number > 5 || modes[number] < 0)
			return drill_unsupported(d, line, "weft has no %s=%s", name, value);
		return set_field(d, line, "ecn", modes[number]);
	}
	if (strcmp(name, "net.ipv4.tcp_mtu_probing") == 0) {
		static const int modes[] = {WEFT_MTU_PROBING_OFF, WEFT_MTU_PROBING_BLACK_HOLE,
					    WEFT_MTU_PROBING_ALWAYS};

		if (*end || number < 0 || number > 2)
			return drill_unsupported(d, line, "weft has no %s=%s", name, value);
		return set_field(d, line, "mtu_probing", modes[number]);
	}
	if (strcmp(name, "net.ipv4.tcp_congestion_control") == 0)
		return set_congestion(d, line, value);
	if (strcmp(name, "net.ipv4.tcp_syncookies") == 0) {
		static const int modes[] = {WEFT_SYN_COOKIES_OFF, WEFT_SYN_COOKIES_AUTO};

		return set_field(d, line, "syn_cookies",
				 number < 2 ? modes[number > 0] : WEFT_SYN_COOKIES_ALWAYS);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++) {
		if (strcmp(sysctls[i].name, name) != 0)
			continue;
		if (*end || !*value)
			return drill_fail(d, line, "%s is not a number: '%s'", name, value);
		number = sysctls[i].factor ? number * sysctls[i].factor : number / 1000;
		return set_field(d, line, sysctls[i].field, number);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (strcmp(fixed[i].name, name) != 0)
			continue;
		if (!fixed[i].values || has_word(fixed[i].values, value))
			return true;
		return drill_unsupported(d, line, "weft has no %s=%s, only %s", name, value,
					 fixed[i].values);
	}
	return drill_unsupported(d, line, "weft has no equivalent of %s", name);
}

/* ---- Commands. ---- */

struct words {
	unsigned count;
	char word[WORDS_MAX][WORD_MAX];
};

/* Splits a statement as a shell does with quotes; returns its end. */
static const char *split(const char *at, struct words *w)
{
	*w = (struct words){0};
	for (;;) {
		size_t n = 0;
		char quote = '\0';

		at += strspn(at, " \t\r\\");
		if (!*at || strchr("\n;&", *at))
			return at;
		if (w->count == WORDS_MAX)
			w->count--; /* a longer one is none that is known */
		for (; *at && (quote || !strchr(" \t\r\n;&", *at)); at++) {
			if (quote ? *at == quote : *at == '"' || *at == '\'')
				quote = quote ? '\0' : *at;
			else if (n + 1 < WORD_MAX)
				w->word[w->count][n++] = *at;
		}
		w->word[w->count++][n] = '\0';
	}
}

/* "name=value", with /proc/sys/a/b or a.b; for weft's own (no dots) as it is. */
static bool set_pair(struct drill *d, int line, char *pair, bool is_own)
{
	static const char proc[] = "/proc/sys/";
	char *value = strchr(pair, '=');
	char *end;

	if (!value)
		return drill_fail(d, line, "expected NAME=VALUE, not '%s'", pair);
	*value++ = '\0';
	if (is_own) {
		long long number = strtoll(value, &end, 0);

		if (*end || !*value)
			return drill_fail(d, line, "%s is not a number: '%s'", pair, value);
		return set_field(d, line, pair, number);
	}
	char *name = strncmp(pair, proc, strlen(proc)) == 0 ? pair + strlen(proc) : pair;

	for (char *p = name; *p; p++)
		if (*p == '/')
			*p = '.';
	return set_sysctl(d, line, name, value);
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text);

	return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

static bool run_statement(struct drill *d, int line, struct words *w, bool may_set)
{
	const char *command = w->word[0];
	bool is_own = strcmp(command, "weft") == 0;

	/* Scripts' common defaults, and their undoing: each run has a stack of its own. */
	if (w->count == 0 || command[0] == '#' || strcmp(command, "true") == 0 ||
	    ends_with(command, "defaults.sh") || strstr(command, "sysctl_restore"))
		return true;
	if (!is_own && !ends_with(command, "set_sysctls.py") && strcmp(command, "sysctl") != 0)
		return drill_unsupported(d, line, "command '%s' is not supported", command);
	if (!may_set)
		return drill_unsupported(d, line, "settings come before the first event");
	for (unsigned i = 1; i < w->count; i++)
		if (w->word[i][0] != '-' && !set_pair(d, line, w->word[i], is_own))
			return false;
	return true;
}

bool settings_shell(struct drill *d, const struct event *event, bool may_set)
{
	static _Thread_local struct words w;
	const char *at = event->text;

	for (;;) {
		at = split(at, &w);
		if (!run_statement(d, event->line, &w, may_set))
			return false;
		if (!*at)
			return true;
		at++;
	}
}
