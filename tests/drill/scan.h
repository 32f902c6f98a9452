/*
 * What the parser's files share: a place in the text, and the small steps.  A step that fails sets the
 * script's error, once, and returns false or NULL.
 */
#ifndef WEFT_DRILL_SCAN_H
#define WEFT_DRILL_SCAN_H

#include "script.h"

struct scan {
	struct script *script;
	const char *at; /* the text ends with a NUL */
	int line;
};

bool scan_fail(struct scan *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Skips blanks, newlines and comments. */
void scan_blank(struct scan *s);

/* Skips blanks and takes 'word' if it is next (a whole word if it is one). */
bool scan_take(struct scan *s, const char *word);

/* As scan_take, or an error. */
bool scan_need(struct scan *s, const char *word);

/* [A-Za-z0-9_]+, or NULL without an error. */
char *scan_word(struct scan *s);

/* A whole number, decimal (perhaps negative) or 0x...; false with an error. */
bool scan_number(struct scan *s, int64_t min, int64_t max, int64_t *value);

/* What was written from 'begin' to here, without the blanks and comments behind it. */
char *scan_written(struct scan *s, const char *begin);

/* Seconds with a fraction, as microseconds. */
bool scan_time(struct scan *s, int64_t *us);

/* What is between the opening text, which is next, and the closing one. */
char *scan_until(struct scan *s, const char *open, const char *close);

/* "text" with its escapes; the size without the closing NUL in '*size'. */
char *scan_string(struct scan *s, size_t *size);

/* Bytes 0x0102.. into 'data' of 'max' bytes. */
bool scan_hex(struct scan *s, uint8_t *data, size_t max, uint8_t *len);

struct expr *parse_expr(struct scan *s);
/* "name(args) = result ERRNO (note)"; the name is next. */
bool parse_call(struct scan *s, struct call_spec *call);
/* "< S 0:0(0) win 1000 <mss 1000>"; the direction is next. */
bool parse_packet(struct scan *s, struct packet_spec *packet);
bool parse_icmp(struct scan *s, struct packet_spec *packet);
bool parse_options(struct scan *s, struct packet_spec *packet);

#endif
