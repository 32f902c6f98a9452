/* The small steps of the parser; see scan.h.  Called by the parser's files. */
#include "scan.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool scan_fail(struct scan *s, const char *format, ...)
{
	struct script *script = s->script;
	va_list args;
	int n;

	if (script->error[0])
		return false;
	n = snprintf(script->error, sizeof(script->error), "%s:%d: ", script->path, s->line);
	if (n < 0 || (size_t)n >= sizeof(script->error))
		return false;
	va_start(args, format);
	(void)vsnprintf(script->error + n, sizeof(script->error) - (size_t)n, format, args);
	va_end(args);
	return false;
}

/* Skips 'count' characters and counts their lines. */
static void skip(struct scan *s, size_t count)
{
	for (; count > 0 && *s->at; count--)
		if (*s->at++ == '\n')
			s->line++;
}

void scan_blank(struct scan *s)
{
	for (;;) {
		if (*s->at && strchr(" \t\r\n", *s->at)) {
			skip(s, 1);
		} else if (*s->at == '#' && (s->at[1] == ' ' || s->at[1] == '!')) {
			skip(s, strcspn(s->at, "\n"));
		} else if (strncmp(s->at, "//", 2) == 0) {
			skip(s, strcspn(s->at, "\n"));
		} else if (strncmp(s->at, "/*", 2) == 0) {
			const char *end = strstr(s->at + 2, "*/");

			if (!end)
				(void)scan_fail(s, "comment without end");
			skip(s, end ? (size_t)(end + 2 - s->at) : strlen(s->at));
		} else {
			return;
		}
	}
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

bool scan_take(struct scan *s, const char *word)
{
	size_t size = strlen(word);

	scan_blank(s);
	if (strncmp(s->at, word, size) != 0)
		return false;
	if (is_word_char(word[size - 1]) && is_word_char(s->at[size]))
		return false;
	skip(s, size);
	return true;
}

/* What is next, for messages. */
static int near_size(const struct scan *s)
{
	size_t size = strcspn(s->at, " \t\r\n");

	return (int)(size < 30 ? size : 30);
}

bool scan_need(struct scan *s, const char *word)
{
	if (scan_take(s, word))
		return true;
	if (!*s->at)
		return scan_fail(s, "expected '%s', the script ends", word);
	return scan_fail(s, "expected '%s', not '%.*s'", word, near_size(s), s->at);
}

char *scan_word(struct scan *s)
{
	size_t size = 0;

	scan_blank(s);
	while (is_word_char(s->at[size]))
		size++;
	if (size == 0)
		return NULL;
	char *word = script_text(s->script, s->at, size);

	skip(s, size);
	return word;
}

/* Digits of 'base' from '*at' on; false when the number does not fit. */
static bool read_digits(const char **at, uint64_t base, uint64_t *number)
{
	for (*number = 0; isxdigit((unsigned char)**at); ++*at) {
		int c = tolower((unsigned char)**at);
		uint64_t digit = (uint64_t)(c >= 'a' ? c - 'a' + 10 : c - '0');

		if (digit >= base)
			break;
		if (*number > ((uint64_t)INT64_MAX - digit) / base)
			return false;
		*number = *number * base + digit;
	}
	return true;
}

bool scan_number(struct scan *s, int64_t min, int64_t max, int64_t *value)
{
	scan_blank(s);
	bool is_negative = *s->at == '-';
	const char *at = s->at + is_negative;
	bool is_hex = at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
	const char *begin = at + (is_hex ? 2 : 0);
	uint64_t number;

	at = begin;
	if (!read_digits(&at, is_hex ? 16 : 10, &number))
		return scan_fail(s, "number too large");
	if (at == begin)
		return scan_fail(s, "expected a number, not '%.*s'", near_size(s), s->at);
	*value = is_negative ? -(int64_t)number : (int64_t)number;
	if (*value < min || *value > max)
		return scan_fail(s, "%lld is not in %lld..%lld", (long long)*value, (long long)min,
				 (long long)max);
	s->at = at;
	return true;
}

/* The point before "..." is none of the number's. */
bool scan_time(struct scan *s, int64_t *us)
{
	int64_t unit = 100000;
	int64_t fraction = 0;
	int64_t seconds = 0;

	scan_blank(s);
	const char *at = s->at;

	for (; isdigit((unsigned char)*at) && seconds < 100000000; at++)
		seconds = seconds * 10 + (*at - '0');
	if (*at == '.' && isdigit((unsigned char)at[1])) {
		for (at++; isdigit((unsigned char)*at); at++, unit /= 10)
			fraction += unit * (*at - '0');
	}
	if (at == s->at || isdigit((unsigned char)*at))
		return scan_fail(s, "expected a time, not '%.*s'", near_size(s), s->at);
	*us = seconds * 1000000 + fraction;
	s->at = at;
	return true;
}

char *scan_until(struct scan *s, const char *open, const char *close)
{
	const char *begin = s->at + strlen(open);
	const char *end = strstr(begin, close);

	if (!end) {
		(void)scan_fail(s, "'%s' without '%s'", open, close);
		return NULL;
	}
	char *text = script_text(s->script, begin, (size_t)(end - begin));

	skip(s, (size_t)(end - s->at) + strlen(close));
	return text;
}

char *scan_written(struct scan *s, const char *begin)
{
	const char *end = s->at;
	const char *line = memchr(begin, '\n', (size_t)(end - begin));

	if (line)
		end = line;
	while (end > begin && strchr(" \t\r\n", end[-1]))
		end--;
	return script_text(s->script, begin, (size_t)(end - begin));
}

/* One character of a string, escapes undone; -1 for a bad one. */
static int string_char(struct scan *s)
{
	static const char from[] = "nrt0\\\"";
	static const char to[] = "\n\r\t\0\\\"";
	int c = (unsigned char)*s->at;

	if (c != '\\') {
		skip(s, 1);
		return c;
	}
	if (s->at[1] == 'x' && isxdigit((unsigned char)s->at[2]) &&
	    isxdigit((unsigned char)s->at[3])) {
		unsigned value = 0;

		(void)sscanf(s->at + 2, "%2x", &value);
		skip(s, 4);
		return (int)value;
	}
	const char *found = s->at[1] ? strchr(from, s->at[1]) : NULL;

	if (!found)
		return -1;
	skip(s, 2);
	return (unsigned char)to[found - from];
}

char *scan_string(struct scan *s, size_t *size)
{
	size_t max = strcspn(s->at + 1, "\n") + 1;
	char *text = script_alloc(s->script, max + 1);
	int c;

	skip(s, 1);
	for (*size = 0; *s->at != '"'; text[(*size)++] = (char)c) {
		if (!*s->at || *s->at == '\n') {
			(void)scan_fail(s, "string without end");
			return NULL;
		}
		c = string_char(s);
		if (c < 0) {
			(void)scan_fail(s, "unknown escape '\\%c' in a string", s->at[1]);
			return NULL;
		}
	}
	skip(s, 1);
	return text;
}

bool scan_hex(struct scan *s, uint8_t *data, size_t max, uint8_t *len)
{
	size_t n = 0;

	scan_blank(s);
	if (s->at[0] == '0' && s->at[1] == 'x')
		s->at += 2;
	while (isxdigit((unsigned char)s->at[0])) {
		unsigned byte;

		if (n == max || !isxdigit((unsigned char)s->at[1]) ||
		    sscanf(s->at, "%2x", &byte) != 1)
			return scan_fail(s, "expected whole bytes in hexadecimal, %zu at most",
					 max);
		data[n++] = (uint8_t)byte;
		s->at += 2;
	}
	*len = (uint8_t)n;
	return true;
}
