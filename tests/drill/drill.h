/*
 * One script's run: what the files that carry it out share.  One thread; the stack's own and those of
 * blocking calls have turns only while the bed settles.
 */
#ifndef WEFT_DRILL_DRILL_H
#define WEFT_DRILL_DRILL_H

#include "bed.h"
#include "peer.h"
#include "script.h"

enum { DRILL_FDS_MAX = 64, DRILL_TEXT_MAX = 2000 };

/* What the program's command line says for all scripts. */
struct drill_params {
	bool is_verbose;
	bool is_strict; /* what the stack sent and nobody expected, at the end, is a failure */
	uint32_t isn;   /* of the peer */
	uint64_t seed;
	const struct option *options; /* before the script's own */
};

/* A socket as the script numbers it. */
struct drill_fd {
	bool is_open;
	int script;
	int live;
	bool is_v4; /* domain of the socket */
	struct peer_conn *conn;
};

struct drill_job;

struct drill {
	const struct script *script;
	const struct drill_params *params;
	struct bed *bed;
	struct peer peer;
	weft_time_us start;        /* the bed's time at the script's 0 */
	const struct event *event; /* now */
	int64_t base_us;           /* what '+' counts from, in the script's time */
	bool is_v6;                /* sockets */
	uint32_t mtu;
	struct weft_config config;
	char addr[64], addr6[64];
	uint16_t bind_port, connect_port;
	struct drill_fd fds[DRILL_FDS_MAX];
	unsigned fd_count;
	struct drill_fd *info_fd; /* whose TCP_INFO %{ }% asks for */
	struct drill_job *jobs;
	/* The outcome. */
	bool has_failed;
	bool is_unsupported;
	char text[DRILL_TEXT_MAX];
};

/* Runs the script; false with the report in drill->text.  drill_fini in both cases. */
bool drill_run(struct drill *drill, const struct script *script, const struct drill_params *params);
void drill_fini(struct drill *drill);

/* Sets the report "FILE:LINE: ..." of the event, unless there is one; false. */
bool drill_fail(struct drill *drill, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for what the runner or weft does not have. */
bool drill_unsupported(struct drill *drill, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The script's time now. */
int64_t drill_now(const struct drill *drill);

/* ---- settings.c: before the stack opens. ---- */

/* Addresses, limits and times from the options. */
bool settings_options(struct drill *drill);
/* A `command`: settings of sysctl's and weft's own.  'may_set': the stack is not open yet. */
bool settings_shell(struct drill *drill, const struct event *event, bool may_set);

/* ---- calls.c ---- */

/* Begins the call; one that is not blocking ends at once. */
bool calls_begin(struct drill *drill, const struct event *event);
/* Checks the results of calls that came back; fails for those that are overdue. */
bool calls_check(struct drill *drill);
/* The latest time at which a blocked call may come back, or 'now': the script's end waits so long. */
int64_t calls_end_us(const struct drill *drill, int64_t now);
void calls_free(struct drill *drill);

struct drill_fd *calls_fd(struct drill *drill, int64_t script);

/* ---- symbols.c ---- */

/* The value of a constant's name; false when there is no such. */
bool symbol_find(const char *name, int64_t *value);

/* ---- code.c ---- */

/* Carries out the statements of %{ }%. */
bool code_run(struct drill *drill, const struct event *event);

#endif
