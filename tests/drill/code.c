/*
 * %{ }%: assertions on TCP_INFO and on weft's counters, in a small language of expressions that reads
 * like Python's: assert EXPR [, MESSAGE], separated by ';' or newlines.
 */
#include "drill.h"

#include "api/src/tcpinfo.h"
#include "net/base/check.h"
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_SIZE = 64, LEVELS = 9, DEPTH_MAX = 32 };

struct code {
	struct drill *drill;
	const char *at;
	int line;
	unsigned depth;
	char seen[400]; /* "name = value, ..." of the statement */
	struct tcpinfo info;
	bool has_info;
};

static bool fail(struct code *c, const char *what)
{
	return drill_fail(c->drill, c->line, "%s near '%.*s'", what, (int)strcspn(c->at, "\n;"),
			  c->at);
}

/* Blanks; a backslash continues the line, and so does whatever stands in parentheses. */
static void blank(struct code *c)
{
	for (;;) {
		if (*c->at == '\\' && c->at[1] == '\n') {
			c->at += 2;
			c->line++;
		} else if (*c->at == '\n' && c->depth > 0) {
			c->at++;
			c->line++;
		} else if (*c->at && strchr(" \t\r", *c->at)) {
			c->at++;
		} else {
			return;
		}
	}
}

static bool take(struct code *c, const char *text)
{
	size_t size = strlen(text);

	blank(c);
	if (strncmp(c->at, text, size) != 0)
		return false;
	if (isalnum((unsigned char)text[size - 1]) &&
	    (isalnum((unsigned char)c->at[size]) || c->at[size] == '_'))
		return false;
	c->at += size;
	return true;
}

/* ---- Names. ---- */

#define INFO(name)                                                                                 \
	{                                                                                          \
		"tcpi_" #name, offsetof(struct tcp_info, tcpi_##name),                             \
			sizeof(((struct tcp_info *)0)->tcpi_##name)                                \
	}

#define MORE(name)                                                                                 \
	{                                                                                          \
		"tcpi_" #name, offsetof(struct tcpinfo, name), sizeof(((struct tcpinfo *)0)->name) \
	}

static const struct {
	const char *name;
	size_t at, size;
} infos[] = {
	INFO(state),
	INFO(ca_state),
	INFO(retransmits),
	INFO(probes),
	INFO(backoff),
	INFO(options),
	INFO(rto),
	INFO(ato),
	INFO(snd_mss),
	INFO(rcv_mss),
	INFO(unacked),
	INFO(sacked),
	INFO(lost),
	INFO(retrans),
	INFO(fackets),
	INFO(last_data_sent),
	INFO(last_ack_sent),
	INFO(last_data_recv),
	INFO(last_ack_recv),
	INFO(pmtu),
	INFO(rcv_ssthresh),
	INFO(rtt),
	INFO(rttvar),
	INFO(snd_ssthresh),
	INFO(snd_cwnd),
	INFO(advmss),
	INFO(reordering),
	INFO(rcv_rtt),
	INFO(rcv_space),
	INFO(total_retrans),
	/* Behind what libc knows of. */
	MORE(pacing_rate),
	MORE(max_pacing_rate),
	MORE(bytes_acked),
	MORE(bytes_received),
	MORE(segs_out),
	MORE(segs_in),
	MORE(notsent_bytes),
	MORE(min_rtt),
	MORE(delivery_rate),
	MORE(delivered),
	MORE(delivered_ce),
	MORE(bytes_sent),
	MORE(bytes_retrans),
	MORE(dsack_dups),
	MORE(reord_seen),
	MORE(snd_wnd),
	MORE(rcv_wnd),
	MORE(rehash),
};

/* Of one byte. */
static const struct {
	const char *name;
	size_t at;
	int shift, mask;
} info_bits[] = {
	{"tcpi_snd_wscale", TCPINFO_WSCALES, 0, 15},
	{"tcpi_rcv_wscale", TCPINFO_WSCALES, 4, 15},
	{"tcpi_delivery_rate_app_limited", TCPINFO_FLAGS, 0, 1},
	{"tcpi_fastopen_client_fail", TCPINFO_FLAGS, 1, 3},
};

static bool read_info(struct code *c)
{
	socklen_t len = sizeof(c->info);
	const struct drill_fd *fd = c->drill->info_fd;

	if (c->has_info)
		return true;
	if (!fd || weft_getsockopt(fd->live, IPPROTO_TCP, TCP_INFO, &c->info, &len) != 0)
		return fail(c, "no connection whose TCP_INFO could be had,");
	c->has_info = true;
	return true;
}

static bool info_value(struct code *c, const char *name, int64_t *value)
{
	uint64_t number = 0;

	if (!read_info(c))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(info_bits); i++) {
		if (strcmp(info_bits[i].name, name) != 0)
			continue;
		*value = c->info.head[info_bits[i].at] >> info_bits[i].shift & info_bits[i].mask;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++) {
		if (strcmp(infos[i].name, name) != 0)
			continue;
		memcpy(&number, (const char *)&c->info + infos[i].at, infos[i].size);
		*value = (int64_t)number;
		return true;
	}
	return drill_unsupported(c->drill, c->line, "TCP_INFO has no %s", name);
}

/* drop_TCP_PAWS, count_TCP_RETRANS: since the stack opened; now_conns and such: now. */
static bool stats_value(struct code *c, const char *name, int64_t *value)
{
	static _Thread_local struct weft_stats stats;
	bool is_drop = strncmp(name, "drop_", 5) == 0;
	const char *want = strchr(name, '_') + 1;
	const char *(*names)(unsigned) = is_drop ? weft_drop_name : weft_counter_name;
	const uint64_t *from = is_drop ? stats.drops : stats.counters;

	weft_stack_stats(bed_stack(c->drill->bed), &stats);
	for (unsigned i = 0; names(i); i++) {
		if (strcmp(names(i), want) == 0) {
			*value = (int64_t)from[i];
			return true;
		}
	}
	return drill_fail(c->drill, c->line, "weft has no counter %s", name);
}

static bool now_value(struct code *c, const char *name, int64_t *value)
{
	static _Thread_local struct weft_stats stats;

	const struct {
		const char *name;
		const uint64_t *at;
	} now[] = {{"now_sockets", &stats.sockets},     {"now_conns", &stats.conns},
		   {"now_syn_rcvd", &stats.syn_rcvd},   {"now_time_wait", &stats.time_wait},
		   {"now_listeners", &stats.listeners}, {"now_bufs", &stats.bufs},
		   {"now_buf_bytes", &stats.buf_bytes}};

	weft_stack_stats(bed_stack(c->drill->bed), &stats);
	for (size_t i = 0; i < ARRAY_SIZE(now); i++) {
		if (strcmp(now[i].name, name) == 0) {
			*value = (int64_t)*now[i].at;
			return true;
		}
	}
	return drill_fail(c->drill, c->line, "weft has no statistic %s", name);
}

static bool name_value(struct code *c, const char *name, int64_t *value)
{
	size_t used = strlen(c->seen);
	bool is_ok;

	if (symbol_find(name, value))
		return true;
	if (strncmp(name, "tcpi_", 5) == 0)
		is_ok = info_value(c, name, value);
	else if (strncmp(name, "drop_", 5) == 0 || strncmp(name, "count_", 6) == 0)
		is_ok = stats_value(c, name, value);
	else if (strncmp(name, "now_", 4) == 0)
		is_ok = now_value(c, name, value);
	else
		return drill_fail(c->drill, c->line, "unknown name %s", name);
	if (is_ok)
		(void)snprintf(c->seen + used, sizeof(c->seen) - used, "%s%s = %lld",
			       used > 0 ? ", " : "", name, (long long)*value);
	return is_ok;
}

/* ---- Expressions, by levels of precedence. ---- */

static bool expression(struct code *c, unsigned level, int64_t *value);

static bool primary(struct code *c, int64_t *value)
{
	char name[NAME_MAX_SIZE];
	size_t n = 0;

	blank(c);
	if (take(c, "(")) {
		bool is_ok = ++c->depth <= DEPTH_MAX ? expression(c, 0, value)
						     : fail(c, "nested too deep");

		if (is_ok && !take(c, ")"))
			is_ok = fail(c, "expected ')'");
		c->depth--;
		return is_ok;
	}
	if (isdigit((unsigned char)*c->at)) {
		char *end;

		*value = strtoll(c->at, &end, 0);
		c->at = end;
		return true;
	}
	while (isalnum((unsigned char)c->at[n]) || c->at[n] == '_')
		n++;
	if (n == 0 || n >= sizeof(name))
		return fail(c, "expected a value");
	memcpy(name, c->at, n);
	name[n] = '\0';
	c->at += n;
	if (strcmp(name, "True") == 0 || strcmp(name, "False") == 0) {
		*value = name[0] == 'T';
		return true;
	}
	return name_value(c, name, value);
}

static bool unary(struct code *c, int64_t *value)
{
	unsigned depth = 0;
	char operators[DEPTH_MAX];

	for (; depth < DEPTH_MAX; depth++) {
		if (take(c, "-"))
			operators[depth] = '-';
		else if (take(c, "~"))
			operators[depth] = '~';
		else
			break;
	}
	if (!primary(c, value))
		return false;
	while (depth > 0)
		*value = operators[--depth] == '-' ? (int64_t) - (uint64_t)*value : ~*value;
	return true;
}

/* Lowest first; a longer operator stands before its beginning. */
static const char *const operators[LEVELS][8] = {
	{"or"},       {"and"},    {"=="},
	{"|"},        {"^"},      {"&"},
	{"<<", ">>"}, {"+", "-"}, {"*", "//", "/", "%"},
};
static const char *const comparisons[] = {"==", "!=", "<=", ">=", "<", ">"};

enum { LEVEL_COMPARE = 2 };

static const char *take_operator(struct code *c, unsigned level)
{
	const char *const *list = level == LEVEL_COMPARE ? comparisons : operators[level];
	unsigned count = level == LEVEL_COMPARE ? ARRAY_SIZE(comparisons) : 8;

	blank(c);
	for (unsigned i = 0; i < count && list[i]; i++) {
		/* "<" is not "<<". */
		bool is_shift = strncmp(c->at, "<<", 2) == 0 || strncmp(c->at, ">>", 2) == 0;

		if (!(level == LEVEL_COMPARE && is_shift) && take(c, list[i]))
			return list[i];
	}
	return NULL;
}

/* Towards minus infinity, as Python's // and %: a rest has the divisor's sign. */
static int64_t divide(int64_t left, int64_t right, bool wants_rest)
{
	if (right == -1)
		return wants_rest ? 0 : (int64_t) - (uint64_t)left;
	int64_t quotient = left / right, rest = left % right;

	if (rest != 0 && (rest < 0) != (right < 0)) {
		quotient--;
		rest += right;
	}
	return wants_rest ? rest : quotient;
}

static bool apply(struct code *c, const char *op, int64_t right, int64_t *value)
{
	uint64_t a = (uint64_t)*value;
	uint64_t b = (uint64_t)right;
	int64_t left = *value;

	if (strchr("/%", op[0]) && right == 0)
		return fail(c, "division by zero");
	if (strcmp(op, "or") == 0)
		*value = left || right;
	else if (strcmp(op, "and") == 0)
		*value = left && right;
	else if (strcmp(op, "==") == 0)
		*value = left == right;
	else if (strcmp(op, "!=") == 0)
		*value = left != right;
	else if (strcmp(op, "<=") == 0)
		*value = left <= right;
	else if (strcmp(op, ">=") == 0)
		*value = left >= right;
	else if (strcmp(op, "<<") == 0)
		*value = (int64_t)(a << (b & 63));
	else if (strcmp(op, ">>") == 0)
		*value = (int64_t)(a >> (b & 63));
	else if (op[0] == '<')
		*value = left < right;
	else if (op[0] == '>')
		*value = left > right;
	else if (op[0] == '|')
		*value = left | right;
	else if (op[0] == '^')
		*value = left ^ right;
	else if (op[0] == '&')
		*value = left & right;
	else if (op[0] == '+')
		*value = (int64_t)(a + b);
	else if (op[0] == '-')
		*value = (int64_t)(a - b);
	else if (op[0] == '*')
		*value = (int64_t)(a * b);
	else
		*value = divide(left, right, op[0] == '%');
	return true;
}

/* a < b <= c, as in Python: each of them, and what stands between two of them is looked at once. */
static bool comparison(struct code *c, int64_t *value)
{
	const char *op;
	int64_t left, right;
	bool holds = true, is_one = false;

	if (!expression(c, LEVEL_COMPARE + 1, &left))
		return false;
	while ((op = take_operator(c, LEVEL_COMPARE))) {
		if (!expression(c, LEVEL_COMPARE + 1, &right) || !apply(c, op, right, &left))
			return false;
		holds = holds && left;
		left = right;
		is_one = true;
	}
	*value = is_one ? holds : left;
	return true;
}

static bool expression(struct code *c, unsigned level, int64_t *value)
{
	const char *op;
	int64_t right;

	if (level == LEVELS)
		return unary(c, value);
	if (level == LEVEL_COMPARE && take(c, "not")) {
		if (!expression(c, level, value))
			return false;
		*value = !*value;
		return true;
	}
	if (level == LEVEL_COMPARE)
		return comparison(c, value);
	if (!expression(c, level + 1, value))
		return false;
	while ((op = take_operator(c, level)))
		if (!expression(c, level + 1, &right) || !apply(c, op, right, value))
			return false;
	return true;
}

/* ---- Statements. ---- */

/* A message is for people; quotes and parentheses in it may hold anything. */
static void skip_message(struct code *c)
{
	char quote = '\0';
	int depth = 0;

	for (; *c->at; c->at++) {
		if (quote ? *c->at == quote : *c->at == '"' || *c->at == '\'')
			quote = quote ? '\0' : *c->at;
		else if (!quote && strchr("([", *c->at))
			depth++;
		else if (!quote && strchr(")]", *c->at))
			depth--;
		else if (!quote && depth <= 0 && strchr("\n;", *c->at))
			return;
		c->line += *c->at == '\n';
	}
}

static bool statement(struct code *c)
{
	const char *begin = c->at;
	int64_t value;

	c->seen[0] = '\0';
	if (take(c, "print")) {
		skip_message(c);
		return true;
	}
	if (!take(c, "assert"))
		return drill_unsupported(c->drill, c->line, "only assert and print: '%.*s'",
					 (int)strcspn(begin, "\n;"), begin);
	if (!expression(c, 0, &value))
		return false;
	int size = (int)(c->at - begin);

	blank(c);
	if (*c->at == ',')
		skip_message(c);
	else if (*c->at && !strchr("\n;", *c->at))
		return fail(c, "expected the statement's end");
	if (value)
		return true;
	return drill_fail(c->drill, c->line, "assertion failed\n    expected %.*s\n    seen     %s",
			  size, begin, c->seen);
}

bool code_run(struct drill *drill, const struct event *event)
{
	struct code c = {.drill = drill, .at = event->text, .line = event->line};

	for (;;) {
		c.at += strspn(c.at, " \t\r;");
		if (!*c.at)
			return true;
		if (*c.at == '\n') {
			c.at++;
			c.line++;
		} else if (!statement(&c)) {
			return false;
		}
	}
}
