/*
 * The states and their legal edges as data (RFC 9293 figure 5, plus the edges of ABORT, RST and
 * timeouts to CLOSED).  Called from all over net/tcp; a program error, never a peer, trips the
 * assertion.
 */
#include "net/tcp/parts.h"

#define TO(state) (1u << TCPS_##state)

static const uint16_t edges[TCPS_COUNT] = {
	[TCPS_CLOSED] = TO(SYN_SENT) | TO(SYN_RCVD),
	[TCPS_LISTEN] = 0,
	[TCPS_SYN_SENT] = TO(SYN_RCVD) | TO(ESTABLISHED) | TO(CLOSED),
	[TCPS_SYN_RCVD] = TO(ESTABLISHED) | TO(FIN_WAIT_1) | TO(CLOSED),
	[TCPS_ESTABLISHED] = TO(FIN_WAIT_1) | TO(CLOSE_WAIT) | TO(CLOSED),
	[TCPS_FIN_WAIT_1] = TO(FIN_WAIT_2) | TO(CLOSING) | TO(TIME_WAIT) | TO(CLOSED),
	[TCPS_FIN_WAIT_2] = TO(TIME_WAIT) | TO(CLOSED),
	[TCPS_CLOSE_WAIT] = TO(LAST_ACK) | TO(CLOSED),
	[TCPS_CLOSING] = TO(TIME_WAIT) | TO(CLOSED),
	[TCPS_LAST_ACK] = TO(CLOSED),
	[TCPS_TIME_WAIT] = TO(CLOSED),
};
static_assert(TCPS_COUNT <= 16, "edges fit in 16 bits");

static const char *const names[TCPS_COUNT] = {
	"CLOSED",     "LISTEN",     "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
	"FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",  "LAST-ACK",     "TIME-WAIT",
};

bool tcp_edge_legal(enum tcp_state from, enum tcp_state to)
{
	return from < TCPS_COUNT && to < TCPS_COUNT && (edges[from] & (1u << to)) != 0;
}

void tcp_set_state(struct tcb *tcb, enum tcp_state next)
{
	WEFT_ASSERT(tcp_edge_legal(tcb->state, next));
	tcb->state = (uint8_t)next;
}

const char *tcp_state_name(enum tcp_state state)
{
	return state < TCPS_COUNT ? names[state] : "?";
}
