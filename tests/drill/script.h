/*
 * A script as a tree: what the parser makes and the runner walks.  All memory is the script's and goes
 * with script_free.
 */
#ifndef WEFT_DRILL_SCRIPT_H
#define WEFT_DRILL_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Expressions: arguments and results of calls. ---- */

enum expr_kind {
	EX_ELLIPSIS, /* ... */
	EX_INT,
	EX_WORD,   /* AF_INET */
	EX_STRING, /* "abc" */
	EX_ARRAY,  /* [a, b] */
	EX_STRUCT, /* {a, name = b} */
	EX_CALL,   /* htons(80) */
	EX_OR,     /* a | b */
};

struct expr {
	enum expr_kind kind;
	struct expr *next;  /* in a list */
	struct expr *first; /* of an array, struct, call or OR */
	const char *field;  /* in a struct: its name, or NULL */
	const char *text;   /* word, string or function */
	size_t size;        /* of the string */
	int64_t number;
};

/* ---- Packets. ---- */

enum {
	SPEC_OPTS_MAX = 24,
	SPEC_OPT_DATA = 40,
	SPEC_SACK_MAX = 4,
	OPT_RAW = -1, /* bytes as they are, without kind and length */
};

struct opt_spec {
	int kind;    /* on the wire; or OPT_RAW */
	uint8_t len; /* of data */
	uint8_t data[SPEC_OPT_DATA];
	/* SACK blocks, or timestamp value and echo, in the script's numbers. */
	uint32_t word[2 * SPEC_SACK_MAX];
	unsigned words;
};

enum ecn_spec { ECN_ANY = -1, ECN_NONE = 0, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3, ECN_ECT01 = 4 };

struct packet_spec {
	bool is_inbound;
	bool is_icmp;
	bool is_any_opts; /* <...> */
	bool has_ack, has_win, has_urg, has_quote, has_mtu;
	unsigned conn; /* number of the connection; 0: the current one */
	int ecn;       /* enum ecn_spec */
	int dscp;      /* upper six bits of TOS as a TOS byte; -1: any */
	int ttl;       /* -1: any */
	uint8_t flags;
	bool ae;
	uint32_t seq, len;
	uint32_t ack;
	uint16_t win, urg;
	unsigned opt_count;
	struct opt_spec opt[SPEC_OPTS_MAX];
	/* ICMP. */
	uint8_t icmp_type4, icmp_code4, icmp_type6, icmp_code6;
	bool has_icmp4, has_icmp6; /* the error exists in that version */
	uint32_t mtu;
	uint32_t quote_seq, quote_len;
	const char *text; /* as written */
};

/* ---- Events. ---- */

enum event_kind { EV_PACKET, EV_CALL, EV_CODE, EV_SHELL };

struct call_spec {
	const char *name;
	struct expr *args;
	struct expr *result;
	const char *error; /* "EAGAIN" or NULL */
	const char *text;
	bool is_blocking; /* has an end time */
	int64_t end_us;
};

struct event {
	struct event *next;
	int line;
	enum event_kind kind;
	bool is_any_time; /* * */
	bool is_relative;
	bool is_range;
	int64_t from_us, to_us;
	struct packet_spec packet;
	struct call_spec call;
	const char *text; /* of code and shell lines */
};

struct option {
	struct option *next;
	int line;
	const char *name; /* without -- */
	const char *value;
};

struct script {
	const char *path;
	char *source;
	struct option *options;
	struct event *events;
	struct chunk *memory;
	char error[300]; /* "file:line: what", after a failed parse */
};

/* Memory of the script's. */
void *script_alloc(struct script *script, size_t size);
char *script_text(struct script *script, const char *from, size_t size);

/* Parses 'size' bytes at 'text'; false with script->error set.  script_free in both cases. */
bool script_parse(struct script *script, const char *path, const char *text, size_t size);
void script_free(struct script *script);

#endif
