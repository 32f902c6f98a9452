/* The parser's part for packets: IP information, TCP header, options, ICMP; see README.md. */
#include "scan.h"

#include "net/base/check.h"
#include "net/wire/tcp_hdr.h"
#include <ctype.h>
#include <string.h>

enum { KIND_EOL, KIND_NOP, KIND_MSS, KIND_WSCALE, KIND_SACK_OK, KIND_SACK, KIND_TS = 8 };

static bool need_u32(struct scan *s, uint32_t *value)
{
	int64_t number;

	if (!scan_number(s, 0, UINT32_MAX, &number))
		return false;
	*value = (uint32_t)number;
	return true;
}

static bool need_u16(struct scan *s, uint16_t *value)
{
	int64_t number;

	if (!scan_number(s, 0, UINT16_MAX, &number))
		return false;
	*value = (uint16_t)number;
	return true;
}

/* ---- TCP options. ---- */

/* 'size' bytes of data from a number. */
static bool option_number(struct scan *s, struct opt_spec *o, int kind, uint8_t size)
{
	int64_t number;

	if (!scan_number(s, 0, size == 1 ? UINT8_MAX : UINT16_MAX, &number))
		return false;
	o->kind = kind;
	o->len = size;
	o->data[0] = (uint8_t)(size == 1 ? number : number >> 8);
	o->data[1] = (uint8_t)number;
	return true;
}

static bool option_sack(struct scan *s, struct opt_spec *o)
{
	o->kind = KIND_SACK;
	do {
		if (o->words == 2 * SPEC_SACK_MAX)
			return scan_fail(s, "more than %d SACK blocks", SPEC_SACK_MAX);
		if (!need_u32(s, &o->word[o->words++]) || !scan_need(s, ":") ||
		    !need_u32(s, &o->word[o->words++]))
			return false;
		scan_blank(s);
	} while (isdigit((unsigned char)*s->at));
	o->len = (uint8_t)(o->words * 4);
	return true;
}

static bool option_ts(struct scan *s, struct opt_spec *o)
{
	o->kind = KIND_TS;
	o->words = 2;
	o->len = 8;
	return scan_need(s, "val") && need_u32(s, &o->word[0]) && scan_need(s, "ecr") &&
	       need_u32(s, &o->word[1]);
}

static bool option_cookie(struct scan *s, struct opt_spec *o, bool is_exp)
{
	size_t magic = is_exp ? 2 : 0;

	o->kind = is_exp ? 254 : 34;
	o->data[0] = 0xf9;
	o->data[1] = 0x89;
	if (!scan_hex(s, o->data + magic, 16, &o->len))
		return false;
	o->len = (uint8_t)(o->len + magic);
	return true;
}

static bool parse_tcp_option(struct scan *s, struct opt_spec *o)
{
	if (scan_take(s, "nop")) {
		o->kind = KIND_NOP;
		return true;
	}
	if (scan_take(s, "eol")) {
		o->kind = KIND_EOL;
		return true;
	}
	if (scan_take(s, "mss"))
		return option_number(s, o, KIND_MSS, 2);
	if (scan_take(s, "wscale"))
		return option_number(s, o, KIND_WSCALE, 1);
	if (scan_take(s, "sackOK")) {
		o->kind = KIND_SACK_OK;
		return true;
	}
	if (scan_take(s, "sack"))
		return option_sack(s, o);
	if (scan_take(s, "TS"))
		return option_ts(s, o);
	if (scan_take(s, "FO"))
		return option_cookie(s, o, false);
	if (scan_take(s, "FOEXP"))
		return option_cookie(s, o, true);
	if (scan_take(s, "unknown")) {
		int64_t kind;

		if (!scan_number(s, 0, 255, &kind))
			return false;
		o->kind = (int)kind;
		return scan_hex(s, o->data, sizeof(o->data) - 2, &o->len);
	}
	if (scan_take(s, "raw")) {
		o->kind = OPT_RAW;
		return scan_hex(s, o->data, sizeof(o->data), &o->len);
	}
	return scan_fail(s, "unknown TCP option '%.*s'", (int)strcspn(s->at, " ,>\t\r\n"), s->at);
}

bool parse_options(struct scan *s, struct packet_spec *p)
{
	size_t size = 0;

	if (scan_take(s, "...")) {
		if (p->is_inbound)
			return scan_fail(s, "<...> is for expected packets only");
		p->is_any_opts = true;
		return scan_need(s, ">");
	}
	do {
		if (p->opt_count == SPEC_OPTS_MAX)
			return scan_fail(s, "more than %d TCP options", SPEC_OPTS_MAX);
		struct opt_spec *o = &p->opt[p->opt_count++];

		if (!parse_tcp_option(s, o))
			return false;
		bool is_single = o->kind == KIND_EOL || o->kind == KIND_NOP || o->kind == OPT_RAW;

		size += o->len + (is_single ? (o->kind != OPT_RAW) : 2u);
	} while (scan_take(s, ","));
	if (size > TCP_OPT_MAX)
		return scan_fail(s, "%zu bytes of TCP options, %d fit", size, TCP_OPT_MAX);
	return scan_need(s, ">");
}

/* ---- Headers. ---- */

static bool parse_ip_item(struct scan *s, struct packet_spec *p)
{
	static const struct {
		const char *word;
		int ecn;
	} ecns[] = {{"noecn", ECN_NONE},
		    {"ect01", ECN_ECT01},
		    {"ect0", ECN_ECT0},
		    {"ect1", ECN_ECT1},
		    {"ce", ECN_CE}};

	int64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(ecns); i++) {
		if (scan_take(s, ecns[i].word)) {
			p->ecn = ecns[i].ecn;
			return true;
		}
	}
	if (scan_take(s, "ttl")) {
		if (!scan_number(s, 0, 255, &number))
			return false;
		p->ttl = (int)number;
		return true;
	}
	if (!scan_take(s, "tos") && !scan_take(s, "ToS"))
		return scan_fail(s, "expected ect0, ect1, ect01, ce, noecn, tos or ttl, not '%.*s'",
				 (int)strcspn(s->at, " ,]\t\r\n"), s->at);
	if (!scan_number(s, 0, 255, &number))
		return false;
	p->dscp = (int)number & 0xfc;
	p->ecn = (int)number & 3;
	return true;
}

/* "[ect0, ttl 64]" of the packet, or "[1:1001(1000)]" that an ICMP error quotes. */
static bool parse_brackets(struct scan *s, struct packet_spec *p)
{
	uint32_t end;

	scan_blank(s);
	if (isdigit((unsigned char)*s->at)) {
		p->has_quote = true;
		return need_u32(s, &p->quote_seq) && scan_need(s, ":") && need_u32(s, &end) &&
		       scan_need(s, "(") && need_u32(s, &p->quote_len) && scan_need(s, ")") &&
		       scan_need(s, "]");
	}
	do {
		if (!parse_ip_item(s, p))
			return false;
	} while (scan_take(s, ","));
	return scan_need(s, "]");
}

static bool parse_flags(struct scan *s, struct packet_spec *p)
{
	static const char letters[] = "FSRP.UEW";

	scan_blank(s);
	if (scan_take(s, "-"))
		return true;
	const char *begin = s->at;

	for (; *s->at && !strchr(" \t\r\n", *s->at); s->at++) {
		const char *found = strchr(letters, *s->at);

		if (*s->at == 'A' && !p->ae) {
			p->ae = true;
			continue;
		}
		if (!found || p->flags & 1u << (found - letters))
			return scan_fail(s, "bad TCP flags '%.*s'", (int)strcspn(begin, " \t\r\n"),
					 begin);
		p->flags |= (uint8_t)(1u << (found - letters));
	}
	return true;
}

static bool parse_seq(struct scan *s, struct packet_spec *p)
{
	uint32_t end;

	if (!need_u32(s, &p->seq) || !scan_need(s, ":") || !need_u32(s, &end) ||
	    !scan_need(s, "(") || !need_u32(s, &p->len) || !scan_need(s, ")"))
		return false;
	if (p->seq + p->len != end)
		return scan_fail(s, "%u:%u(%u): the numbers do not fit together", p->seq, end,
				 p->len);
	if (p->is_inbound && p->len > 65535 - 120)
		return scan_fail(s, "%u bytes do not fit a packet", p->len);
	return true;
}

static bool parse_tcp(struct scan *s, struct packet_spec *p)
{
	if (!parse_flags(s, p) || !parse_seq(s, p))
		return false;
	p->has_ack = scan_take(s, "ack");
	if (p->has_ack && !need_u32(s, &p->ack))
		return false;
	if (p->has_ack && !(p->flags & TCP_ACK) && !p->is_inbound)
		return scan_fail(s, "'ack' without the flag '.'");
	p->has_win = scan_take(s, "win");
	if (p->has_win && !need_u16(s, &p->win))
		return false;
	if (!p->has_win && p->is_inbound && !(p->flags & TCP_RST))
		return scan_fail(s, "a packet to inject needs 'win'");
	p->has_urg = scan_take(s, "urg");
	if (p->has_urg && !need_u16(s, &p->urg))
		return false;
	return !scan_take(s, "<") || parse_options(s, p);
}

/* A number behind "#" names the connection (an extension). */
static bool parse_conn(struct scan *s, struct packet_spec *p)
{
	int64_t number;

	if (*s->at != '#' || !isdigit((unsigned char)s->at[1]))
		return true;
	s->at++;
	if (!scan_number(s, 1, 1000, &number))
		return false;
	p->conn = (unsigned)number;
	return true;
}

bool parse_packet(struct scan *s, struct packet_spec *p)
{
	const char *begin = s->at;

	p->ecn = ECN_ANY;
	p->dscp = -1;
	p->ttl = -1;
	p->is_inbound = *s->at == '<';
	s->at++;
	scan_blank(s);
	if (!parse_conn(s, p) || (scan_take(s, "[") && !parse_brackets(s, p)))
		return false;
	if (scan_take(s, "udp") || scan_take(s, "UDP"))
		return scan_fail(s, "UDP packets are not supported");
	p->is_icmp = scan_take(s, "icmp");
	if (p->is_icmp ? !parse_icmp(s, p) : !parse_tcp(s, p))
		return false;
	p->text = scan_written(s, begin);
	return true;
}
