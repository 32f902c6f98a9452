/* The parser's part for ICMP errors: type and code by name, for both versions of IP. */
#include "scan.h"

#include "net/base/check.h"
#include <string.h>

enum { NONE = -1 };

struct icmp_name {
	const char *type;
	const char *code; /* NULL: the type stands alone */
	int type4, code4;
	int type6, code6;
};

static const struct icmp_name names[] = {
	{"unreachable", "net_unreachable", 3, 0, 1, 0},
	{"unreachable", "host_unreachable", 3, 1, 1, 3},
	{"unreachable", "protocol_unreachable", 3, 2, NONE, 0},
	{"unreachable", "port_unreachable", 3, 3, 1, 4},
	{"unreachable", "frag_needed", 3, 4, 2, 0},
	{"unreachable", "source_route_failed", 3, 5, NONE, 0},
	{"unreachable", "net_unknown", 3, 6, NONE, 0},
	{"unreachable", "host_unknown", 3, 7, NONE, 0},
	{"unreachable", "source_host_isolated", 3, 8, NONE, 0},
	{"unreachable", "net_prohibited", 3, 9, NONE, 0},
	{"unreachable", "host_prohibited", 3, 10, NONE, 0},
	{"unreachable", "net_unreachable_for_tos", 3, 11, NONE, 0},
	{"unreachable", "host_unreachable_for_tos", 3, 12, NONE, 0},
	{"unreachable", "packet_filtered", 3, 13, 1, 1},
	{"unreachable", "precedence_violation", 3, 14, NONE, 0},
	{"unreachable", "precedence_cutoff", 3, 15, NONE, 0},
	{"unreachable", "no_route", NONE, 0, 1, 0},
	{"unreachable", "admin_prohibited", NONE, 0, 1, 1},
	{"unreachable", "beyond_scope", NONE, 0, 1, 2},
	{"unreachable", "address_unreachable", NONE, 0, 1, 3},
	{"packet_too_big", NULL, 3, 4, 2, 0},
	{"source_quench", NULL, 4, 0, NONE, 0},
	{"redirect", NULL, 5, 0, NONE, 0},
	{"time_exceeded", "ttl", 11, 0, 3, 0},
	{"time_exceeded", "reassembly", 11, 1, 3, 1},
	{"time_exceeded", NULL, 11, 0, 3, 0},
	{"parameter_problem", NULL, 12, 0, 4, 0},
};

static bool find(struct packet_spec *p, const char *type, const char *code)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct icmp_name *n = &names[i];
		bool is_code = code ? n->code && strcmp(n->code, code) == 0 : !n->code;

		if (strcmp(n->type, type) != 0 || !is_code)
			continue;
		p->has_icmp4 = n->type4 != NONE;
		p->has_icmp6 = n->type6 != NONE;
		p->icmp_type4 = (uint8_t)n->type4;
		p->icmp_code4 = (uint8_t)n->code4;
		p->icmp_type6 = (uint8_t)n->type6;
		p->icmp_code6 = (uint8_t)n->code6;
		return true;
	}
	return false;
}

bool parse_icmp(struct scan *s, struct packet_spec *p)
{
	const char *type = scan_word(s);
	struct scan before = *s;
	int line = s->line;
	int64_t mtu;

	if (!type)
		return scan_fail(s, "expected an ICMP type");
	scan_blank(s);
	/* The code is optional: what is next on another line is the next event. */
	const char *code = s->line == line ? scan_word(s) : NULL;

	if (code && strcmp(code, "mtu") == 0) {
		code = NULL;
		*s = before;
	}
	if (!find(p, type, code))
		return scan_fail(s, "unknown ICMP error '%s%s%s'", type, code ? " " : "",
				 code ? code : "");
	if (!p->is_inbound)
		return scan_fail(s, "ICMP errors are injected, not expected");
	p->has_mtu = scan_take(s, "mtu");
	if (!p->has_mtu)
		return true;
	if (!scan_number(s, 0, UINT32_MAX, &mtu))
		return false;
	p->mtu = (uint32_t)mtu;
	return true;
}
