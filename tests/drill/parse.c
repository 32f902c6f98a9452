/*
 * The parser's top: options, then events with their times.  A hand-written descent, one function a
 * rule; the language is in README.md.  Also the script's memory.
 */
#include "scan.h"

#include "net/base/check.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct chunk {
	struct chunk *next;
	_Alignas(16) char bytes[];
};

void *script_alloc(struct script *script, size_t size)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk) + size);

	WEFT_ASSERT(chunk);
	chunk->next = script->memory;
	script->memory = chunk;
	return chunk->bytes;
}

char *script_text(struct script *script, const char *from, size_t size)
{
	char *text = script_alloc(script, size + 1);

	memcpy(text, from, size);
	return text;
}

void script_free(struct script *script)
{
	while (script->memory) {
		struct chunk *chunk = script->memory;

		script->memory = chunk->next;
		free(chunk);
	}
}

/* --name=value, --name="value" or --name; several on a line. */
static bool parse_option(struct scan *s, struct option *option)
{
	size_t size;

	option->line = s->line;
	s->at += 2;
	option->name = scan_word(s);
	if (!option->name)
		return scan_fail(s, "expected an option's name behind '--'");
	option->value = "";
	if (*s->at != '=')
		return true;
	s->at++;
	if (*s->at == '"') {
		option->value = scan_string(s, &size);
		return option->value != NULL;
	}
	size = strcspn(s->at, " \t\r\n");
	option->value = script_text(s->script, s->at, size);
	s->at += size;
	return true;
}

static bool parse_times(struct scan *s, struct event *ev)
{
	if (scan_take(s, "*")) {
		ev->is_any_time = true;
		return true;
	}
	if (*s->at != '+' && *s->at != '.' && !isdigit((unsigned char)*s->at))
		return scan_fail(s, "expected an event's time, not '%.*s'",
				 (int)strcspn(s->at, " \t\r\n"), s->at);
	ev->is_relative = scan_take(s, "+");
	if (!scan_time(s, &ev->from_us))
		return false;
	ev->to_us = ev->from_us;
	if (!scan_take(s, "~"))
		return true;
	ev->is_range = true;
	if (scan_take(s, "+") != ev->is_relative)
		return scan_fail(s, "both ends of a range of times have '+' or none");
	if (!scan_time(s, &ev->to_us))
		return false;
	if (ev->to_us < ev->from_us)
		return scan_fail(s, "range of times ends before it begins");
	return true;
}

static bool parse_call_event(struct scan *s, struct event *ev)
{
	ev->kind = EV_CALL;
	ev->call.is_blocking = scan_take(s, "...");
	if (ev->call.is_blocking) {
		if (ev->is_any_time || ev->is_range)
			return scan_fail(s, "a blocking call begins at one time");
		if (!scan_time(s, &ev->call.end_us))
			return false;
		if (ev->call.end_us < ev->from_us)
			return scan_fail(s, "blocking call ends before it begins");
	}
	scan_blank(s);
	if (!isalpha((unsigned char)*s->at) && *s->at != '_')
		return scan_fail(s, "expected a packet, a call, `...` or %%{ }%%, not '%.*s'",
				 (int)strcspn(s->at, " \t\r\n"), s->at);
	return parse_call(s, &ev->call);
}

static bool parse_event(struct scan *s, struct event *ev)
{
	ev->line = s->line;
	/* A command between events may stand without a time: at once. */
	if (*s->at == '`')
		ev->is_relative = true;
	else if (!parse_times(s, ev))
		return false;
	scan_blank(s);
	switch (*s->at) {
	case '<':
	case '>':
		ev->kind = EV_PACKET;
		return parse_packet(s, &ev->packet);
	case '`':
		ev->kind = EV_SHELL;
		ev->text = scan_until(s, "`", "`");
		return ev->text != NULL;
	case '%':
		ev->kind = EV_CODE;
		if (s->at[1] != '{')
			return scan_fail(s, "expected '%%{'");
		ev->text = scan_until(s, "%{", "}%");
		return ev->text != NULL;
	default:
		return parse_call_event(s, ev);
	}
}

static bool parse_script(struct scan *s)
{
	struct option **option = &s->script->options;
	struct event **event = &s->script->events;

	for (scan_blank(s); strncmp(s->at, "--", 2) == 0; scan_blank(s)) {
		*option = script_alloc(s->script, sizeof(**option));
		if (!parse_option(s, *option))
			return false;
		option = &(*option)->next;
	}
	for (; *s->at; scan_blank(s)) {
		*event = script_alloc(s->script, sizeof(**event));
		if (!parse_event(s, *event))
			return false;
		event = &(*event)->next;
	}
	if (s->script->error[0])
		return false;
	return s->script->events ? true : scan_fail(s, "no events");
}

bool script_parse(struct script *script, const char *path, const char *text, size_t size)
{
	*script = (struct script){.path = path};
	script->source = script_text(script, text, size);
	struct scan s = {.script = script, .at = script->source, .line = 1};

	if (strlen(script->source) != size)
		return scan_fail(&s, "the script has a NUL byte");
	return parse_script(&s);
}
