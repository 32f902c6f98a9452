/* The parser's part for system calls: expressions, structs, results; see README.md. */
#include "scan.h"

#include <ctype.h>
#include <string.h>

enum { DEPTH_MAX = 8 };

static struct expr *parse_or(struct scan *s, int depth);

static struct expr *expr_new(struct scan *s, enum expr_kind kind)
{
	struct expr *e = script_alloc(s->script, sizeof(*e));

	e->kind = kind;
	return e;
}

/* "msg_name(...)" or "sin_port" before "="; NULL when the item has no name. */
static char *parse_field(struct scan *s)
{
	struct scan before = *s;
	char *word = scan_word(s);

	if (word && !isdigit((unsigned char)word[0])) {
		if (scan_take(s, "(")) {
			int64_t ignored;

			if (!scan_take(s, "...") && isdigit((unsigned char)*s->at))
				(void)scan_number(s, 0, INT32_MAX, &ignored);
			if (!scan_take(s, ")")) {
				*s = before;
				return NULL;
			}
		}
		scan_blank(s);
		if (*s->at == '=' && s->at[1] != '=') {
			s->at++;
			return word;
		}
	}
	*s = before;
	return NULL;
}

/* Items up to 'close'. */
static bool parse_list(struct scan *s, const char *close, bool has_fields, int depth,
		       struct expr **first)
{
	struct expr **to = first;

	if (scan_take(s, close))
		return true;
	do {
		char *field = has_fields ? parse_field(s) : NULL;

		*to = parse_or(s, depth + 1);
		if (!*to)
			return false;
		(*to)->field = field;
		to = &(*to)->next;
	} while (scan_take(s, ","));
	return scan_need(s, close);
}

static struct expr *parse_group(struct scan *s, enum expr_kind kind, const char *close, int depth)
{
	struct expr *e = expr_new(s, kind);

	if (depth > DEPTH_MAX) {
		(void)scan_fail(s, "nested too deep");
		return NULL;
	}
	return parse_list(s, close, kind == EX_STRUCT, depth, &e->first) ? e : NULL;
}

static struct expr *parse_string(struct scan *s)
{
	struct expr *e = expr_new(s, EX_STRING);

	e->text = scan_string(s, &e->size);
	(void)scan_take(s, "..."); /* as strace shortens */
	return e->text ? e : NULL;
}

static struct expr *parse_atom(struct scan *s, int depth)
{
	struct expr *e;

	scan_blank(s);
	if (scan_take(s, "..."))
		return expr_new(s, EX_ELLIPSIS);
	if (scan_take(s, "["))
		return parse_group(s, EX_ARRAY, "]", depth);
	if (scan_take(s, "{"))
		return parse_group(s, EX_STRUCT, "}", depth);
	if (scan_take(s, "("))
		return (e = parse_or(s, depth + 1)) && scan_need(s, ")") ? e : NULL;
	if (*s->at == '"')
		return parse_string(s);
	if (isdigit((unsigned char)*s->at) || *s->at == '-') {
		e = expr_new(s, EX_INT);
		return scan_number(s, INT64_MIN / 2, INT64_MAX, &e->number) ? e : NULL;
	}
	(void)scan_take(s, "&"); /* &addr, as strace writes */
	e = expr_new(s, EX_WORD);
	e->text = scan_word(s);
	if (!e->text) {
		(void)scan_fail(s, "expected a value, not '%.*s'", (int)strcspn(s->at, " \t\r\n"),
				s->at);
		return NULL;
	}
	if (!scan_take(s, "("))
		return e;
	e->kind = EX_CALL;
	return parse_list(s, ")", false, depth, &e->first) ? e : NULL;
}

static struct expr *parse_or(struct scan *s, int depth)
{
	struct expr *left;

	if (depth > DEPTH_MAX) {
		(void)scan_fail(s, "nested too deep");
		return NULL;
	}
	left = parse_atom(s, depth);
	while (left && scan_take(s, "|")) {
		struct expr *e = expr_new(s, EX_OR);

		e->first = left;
		left->next = parse_atom(s, depth);
		left = left->next ? e : NULL;
	}
	return left;
}

struct expr *parse_expr(struct scan *s)
{
	return parse_or(s, 0);
}

bool parse_call(struct scan *s, struct call_spec *call)
{
	const char *begin = s->at;

	call->name = scan_word(s);
	if (!scan_need(s, "(") || !parse_list(s, ")", false, 0, &call->args) || !scan_need(s, "="))
		return false;
	call->result = parse_expr(s);
	if (!call->result)
		return false;
	if (call->result->kind != EX_INT && call->result->kind != EX_ELLIPSIS)
		return scan_fail(s, "the result of %s is a number or ...", call->name);
	call->text = scan_written(s, begin);
	scan_blank(s);
	if (*s->at == 'E') {
		call->error = scan_word(s);
		call->text = scan_written(s, begin);
		scan_blank(s);
	}
	if (*s->at == '(' && !scan_until(s, "(", ")"))
		return false;
	if (call->error && (call->result->kind != EX_INT || call->result->number != -1))
		return scan_fail(s, "%s with a result that is not -1", call->error);
	return true;
}
