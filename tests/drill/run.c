/*
 * A script's run: events in order, each at its time.  The clock goes from one deadline of the stack's
 * to the next, so that everything happens when it is due; what the stack sends is looked at when the
 * script expects it.
 */
#include "drill.h"
#include "match.h"

#include "net/base/check.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TOLERANCE_US = 4000,
	ANY_TIME_S = 36000, /* '*' waits so long */
	DEFAULT_PORT = 8080,
	LINE_MAX_SIZE = 500,
	BUF_MAX = 15 << 20, /* gives a window scale of 8, as most scripts expect */
};

/* ---- Reports. ---- */

static void report(struct drill *d, int line, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void report(struct drill *d, int line, const char *format, va_list args)
{
	if (d->has_failed)
		return;
	d->has_failed = true;
	int n = snprintf(d->text, sizeof(d->text), "%s:%d: ", d->script->path, line);

	if (n > 0 && (size_t)n < sizeof(d->text))
		(void)vsnprintf(d->text + n, sizeof(d->text) - (size_t)n, format, args);
}

bool drill_fail(struct drill *d, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(d, line, format, args);
	va_end(args);
	return false;
}

bool drill_unsupported(struct drill *d, int line, const char *format, ...)
{
	va_list args;

	d->is_unsupported = d->is_unsupported || !d->has_failed;
	va_start(args, format);
	report(d, line, format, args);
	va_end(args);
	return false;
}

int64_t drill_now(const struct drill *d)
{
	return bed_now(d->bed) - d->start;
}

/* ---- Time. ---- */

/* The event's earliest and latest time in the script's. */
static void times_of(const struct drill *d, const struct event *ev, int64_t *from, int64_t *to)
{
	int64_t base = ev->is_relative ? d->base_us : 0;

	*from = ev->from_us + base;
	*to = ev->to_us + base;
	if (ev->is_any_time) {
		*from = 0;
		*to = drill_now(d) + (int64_t)ANY_TIME_S * US_PER_S;
	}
}

/* Moves to 'at', or to the first moment before at which the stack has sent something. */
static bool advance(struct drill *d, int64_t at, bool until_packet)
{
	while (drill_now(d) < at && !(until_packet && bed_peek(d->bed))) {
		if (!bed_step(d->bed, d->start + at))
			return drill_fail(d, d->event->line, "the stack does not become quiet");
		if (!calls_check(d))
			return false;
	}
	return true;
}

/* ---- Packets. ---- */

static bool inject(struct drill *d, const struct event *ev)
{
	static _Thread_local uint8_t packet[PEER_PACKET_MAX];
	char why[100];
	struct seen seen;

	/* The peer may need to know the port of a SYN that nobody expected yet. */
	for (const struct bed_packet *p = bed_peek(d->bed); p; p = p->next)
		peer_see(&d->peer, p, &seen);
	size_t size = peer_build(&d->peer, &ev->packet, packet, why, sizeof(why));

	if (size == 0)
		return drill_fail(d, ev->line, "%s", why);
	if (size > d->mtu)
		return drill_fail(d, ev->line, "a packet of %zu bytes is above the MTU of %u", size,
				  d->mtu);
	if (d->params->is_verbose)
		printf("%.6f %s\n", (double)drill_now(d) / 1e6, ev->packet.text);
	bed_inject(d->bed, packet, size);
	if (!bed_settle(d->bed))
		return drill_fail(d, ev->line, "the stack does not become quiet");
	return calls_check(d);
}

static bool mismatch(struct drill *d, const struct event *ev, const char *why,
		     const struct seen *seen)
{
	char text[LINE_MAX_SIZE] = "nothing";
	char at[40] = "            ";
	int64_t from, to;
	char want[40] = "*           ";

	times_of(d, ev, &from, &to);
	if (!ev->is_any_time)
		(void)snprintf(want, sizeof(want), "%-12.6f", (double)from / 1e6);
	if (seen) {
		peer_print(&d->peer, seen, text, sizeof(text));
		(void)snprintf(at, sizeof(at), "%-12.6f", (double)(seen->at - d->start) / 1e6);
	}
	return drill_fail(d, ev->line, "%s\n    expected %s %s\n    seen     %s %s", why, want,
			  ev->packet.text, at, text);
}

/* Takes the packets that together may be what is expected: pieces of one write are put together. */
static const char *take_packets(struct drill *d, const struct event *ev, struct seen *seen,
				struct bed_packet **first)
{
	const char *why;

	*first = bed_take(d->bed);
	peer_see(&d->peer, *first, seen);
	why = match_payload(seen);
	if (d->params->is_verbose) {
		char text[LINE_MAX_SIZE];

		peer_print(&d->peer, seen, text, sizeof(text));
		printf("%.6f %s\n", (double)(seen->at - d->start) / 1e6, text);
	}
	while (!why && seen->is_tcp && seen->len > 0 && seen->len < ev->packet.len) {
		const struct bed_packet *p = bed_peek(d->bed);
		struct seen more;

		if (!p || p->at > seen->at + d->peer.tolerance_us)
			break;
		peer_see(&d->peer, p, &more);
		if (!match_join(seen, &more))
			break;
		why = match_payload(&more);
		free(bed_take(d->bed));
	}
	return why;
}

static bool expect(struct drill *d, const struct event *ev)
{
	int64_t tolerance = d->peer.tolerance_us;
	struct bed_packet *packet;
	struct seen seen;
	char text[120];
	int64_t from, to;

	times_of(d, ev, &from, &to);
	if (!advance(d, to + tolerance, true))
		return false;
	if (!bed_peek(d->bed))
		return mismatch(d, ev, "no packet", NULL);
	const char *payload = take_packets(d, ev, &seen, &packet);
	const char *why = match_packet(&d->peer, &ev->packet, &seen, text, sizeof(text));
	int64_t at = seen.at - d->start;

	if (!why)
		why = payload;
	if (!why && (at < from - tolerance || at > to + tolerance))
		why = "another time";
	bool is_ok = !why || mismatch(d, ev, why, &seen);

	free(packet);
	/* What follows counts from the time written, if one time is. */
	d->base_us = ev->is_any_time || ev->is_range ? at : from;
	return is_ok;
}

/* ---- Events. ---- */

static bool run_event(struct drill *d, const struct event *ev)
{
	int64_t from, to;

	d->event = ev;
	times_of(d, ev, &from, &to);
	if (ev->kind == EV_PACKET && !ev->packet.is_inbound) {
		return expect(d, ev);
	}
	if (ev->is_any_time)
		from = drill_now(d);
	if (drill_now(d) > from + d->peer.tolerance_us)
		return drill_fail(d, ev->line, "the time of this event, %.6f, is over at %.6f",
				  (double)from / 1e6, (double)drill_now(d) / 1e6);
	if (!advance(d, from, false))
		return false;
	bool is_ok = false;

	switch (ev->kind) {
	case EV_PACKET:
		is_ok = inject(d, ev);
		break;
	case EV_CALL:
		is_ok = calls_begin(d, ev);
		break;
	case EV_CODE:
		is_ok = code_run(d, ev);
		break;
	case EV_SHELL:
		is_ok = settings_shell(d, ev, false);
		break;
	}
	d->base_us = from;
	return is_ok;
}

/* Calls that still block have their time; then nothing may be left that the stack sent. */
static bool finish(struct drill *d)
{
	struct seen seen;
	char text[LINE_MAX_SIZE];

	if (!advance(d, calls_end_us(d, drill_now(d)) + 1, false))
		return false;
	const struct bed_packet *left = bed_peek(d->bed);

	if (!d->params->is_strict || !left)
		return true;
	peer_see(&d->peer, left, &seen);
	peer_print(&d->peer, &seen, text, sizeof(text));
	return drill_fail(d, d->event->line,
			  "the stack sent more\n    expected nothing\n    seen     %.6f %s",
			  (double)(seen.at - d->start) / 1e6, text);
}

static void set_defaults(struct drill *d)
{
	const struct weft_config config = WEFT_CONFIG_INIT;

	d->config = config;
	d->config.seed = d->params->seed;
	d->config.futex_slots = 1;
	/* A script has few connections: tables need not be large. */
	d->config.conns_max = 1000;
	d->config.time_wait_max = 1000;
	d->config.buf_max = BUF_MAX;
	d->peer.is_strict = d->params->is_strict;
	d->mtu = 1500;
	d->bind_port = DEFAULT_PORT;
	d->connect_port = DEFAULT_PORT;
	d->peer.tolerance_us = TOLERANCE_US;
	d->peer.isn = d->params->isn;
	d->peer.is_fresh = true;
	bool is_ok = addr_parse("192.168.0.1", &d->peer.local) &&
		     addr_parse("192.0.2.1", &d->peer.remote);

	WEFT_ASSERT(is_ok);
}

bool drill_run(struct drill *d, const struct script *script, const struct drill_params *params)
{
	const struct event *ev = script->events;
	char why[200] = "";

	*d = (struct drill){.script = script, .params = params, .event = ev};
	set_defaults(d);
	if (!settings_options(d))
		return false;
	for (; ev && ev->kind == EV_SHELL; ev = ev->next)
		if (!settings_shell(d, ev, true))
			return false;
	d->bed = bed_open(&d->config, d->mtu, why, sizeof(why));
	if (!d->bed)
		return drill_fail(d, 1, "the stack does not open: %s", why);
	d->start = bed_now(d->bed);
	for (; ev; ev = ev->next)
		if (!run_event(d, ev))
			return false;
	return finish(d);
}

void drill_fini(struct drill *d)
{
	if (d->bed)
		bed_close(d->bed);
	calls_free(d);
	peer_fini(&d->peer);
}
