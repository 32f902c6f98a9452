/*
 * The user's calls (RFC 9293 3.10.1 to 3.10.5) and the two ways a connection ends.  Called by the
 * socket with its lock held, and by other files of the core for the endings.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <errno.h>
#include <string.h>

/* ---- Beginnings. ---- */

void tcp_open_active(struct tcb *tcb, uint32_t iss, weft_time_us now, unsigned *events)
{
	WEFT_ASSERT(tcb->state == TCPS_CLOSED);
	tcb->iss = iss;
	tcb->snd_una = iss;
	tcb->snd_nxt = iss;
	tcb->snd_max = iss;
	tcb->snd_end = iss + 1;
	tcb->error = 0;
	tcb->last_rcv = now;
	tcp_set_state(tcb, TCPS_SYN_SENT);
	loss_init(tcb);
	deadline_opened(tcb, now);
	counter_add(tcb->cfg->counters, C_TCP_ACTIVE_OPEN, 1);
	*events |= TCP_EV_OUTPUT;
}

void tcp_open_passive(struct tcb *tcb, const struct tcp_synrcvd *record, weft_time_us now)
{
	weft_time_us sent_at;

	WEFT_ASSERT(tcb->state == TCPS_CLOSED);
	tcb->passive = true;
	tcb->iss = record->iss;
	tcb->snd_una = record->iss;
	tcb->snd_nxt = record->iss + 1;
	tcb->snd_max = record->iss + 1;
	tcb->snd_end = record->iss + 1;
	tcb->irs = record->irs;
	tcb->rcv_nxt = record->irs + 1;
	tcb->rcv_up = tcb->rcv_nxt;
	tcb->last_ack_sent = tcb->rcv_nxt;
	tcb->rcv_adv = tcb->rcv_nxt + record->rcv_wnd;
	tcb->mss_peer = record->mss_peer;
	tcb->mss_local = record->mss_local;
	if (tcb->mss_path > tcb->mss_local)
		tcb->mss_path = tcb->mss_local;
	tcb->snd_wscale = tcp_synrcvd_scales(record) ? record->snd_wscale : 0;
	tcb->rcv_wscale = record->rcv_wscale;
	tcb->wscale_on = tcp_synrcvd_scales(record);
	tcb->sack_on = record->sack_on;
	tcb->ts_on = record->ts_on;
	tcb->ecn_on = record->ecn_on || tcp_synrcvd_acc(record) > 0;
	if (tcp_synrcvd_acc(record) > 0) {
		accecn_begin(tcb, tcp_synrcvd_acc(record) - 1u);
		tcb->ecn_mute = !record->ecn_on;
	}
	tcb->ts_recent = record->ts_recent;
	tcb->ts_recent_at = time_s(now);
	tcb->ts_offset = tcp_synrcvd_ts_offset(record);
	tcb->syn_lost = record->retries > 0;
	tcb->backoff = record->retries;
	if (tcp_synrcvd_sent_at(record, now, &sent_at))
		rtt_start(tcb, sent_at);
	tcb->last_rcv = now;
	options_update_mss(tcb);
	tcp_set_state(tcb, TCPS_SYN_RCVD);
	loss_init(tcb);
	counter_add(tcb->cfg->counters, C_TCP_PASSIVE_OPEN, 1);
}

/* The state has become ESTABLISHED. */
void tcp_established(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	bool lost_twice = tcb->backoff > 1; /* RFC 6928 2: one lost SYN is no congestion */

	tcb->backoff = 0;
	tcb->soft_error = 0;
	if (tcb->syn_lost && tcb->srtt == 0 && MECHANISM(rto_syn_lost))
		tcb->rto = tcb->rto > 3 * US_PER_S ? tcb->rto : 3 * US_PER_S; /* RFC 6298 5.7 */
	mtu_established(tcb);
	if (tcb->ecn_on)
		counter_add(tcb->cfg->counters, C_TCP_ECN_OPEN, 1);
	if (tcb->acc.on)
		counter_add(tcb->cfg->counters, C_TCP_ECN_ACCURATE, 1);
	if (!tcb->fo_passive) /* it began with the SYN */
		tcp_cc_start(&tcb->cc, tcb->cc.ops ? tcb->cc.ops : tcb->cfg->cc, tcb->mss,
			     lost_twice, now);
	autotune_start(tcb, now);
	deadline_established(tcb, now);
	*events |= TCP_EV_CONNECTED | TCP_EV_WRITABLE;
	if (tcb->sndq.bytes > 0) /* queued before, maybe while the SYNs crossed */
		*events |= TCP_EV_OUTPUT;
	if (tcb->fin_queued &&
	    MECHANISM(fin_before_open)) { /* closed or shut down before the handshake was over */
		tcp_set_state(tcb, TCPS_FIN_WAIT_1);
		*events |= TCP_EV_OUTPUT;
	}
}

/* ---- Sending. ---- */

static uint32_t free_bytes(const struct tcb *tcb)
{
	return tcb->snd_buf_size > tcb->sndq.bytes ? tcb->snd_buf_size - tcb->sndq.bytes : 0;
}

static uint32_t unsent_bytes(const struct tcb *tcb)
{
	return seq_lt(tcb->snd_nxt, tcb->snd_end) ? tcb->snd_end - tcb->snd_nxt : 0;
}

uint32_t tcp_send_room(const struct tcb *tcb)
{
	if (tcb->fin_queued ||
	    !(tcp_may_send(tcb) || tcb->state == TCPS_SYN_SENT || tcb->state == TCPS_SYN_RCVD))
		return 0;
	uint32_t room = free_bytes(tcb);

	if (tcb->notsent_lowat == 0 || !MECHANISM(notsent_lowat))
		return room;
	uint32_t unsent = unsent_bytes(tcb);
	uint32_t more = tcb->notsent_lowat > unsent ? tcb->notsent_lowat - unsent : 0;

	return room < more ? room : more;
}

bool tcp_send_is_roomy(const struct tcb *tcb)
{
	if (free_bytes(tcb) < tcb->sndq.bytes / 2)
		return false;
	return tcb->notsent_lowat == 0 || 2 * (uint64_t)unsent_bytes(tcb) < tcb->notsent_lowat;
}

uint32_t tcp_send_pack(struct tcb *tcb, const void *data, uint32_t size, unsigned *events)
{
	struct buf *tail = tcb->sndq.tail;
	uint32_t room = tcp_send_room(tcb);

	if (!tail || size == 0)
		return 0;
	if (size > room)
		size = room;
	if (size > buf_room(tail))
		size = buf_room(tail);
	memcpy(tail->data + tail->len, data, size);
	tail->len += size;
	tcb->sndq.bytes += size;
	tcb->snd_end += size;
	tcb->uncork = false;
	if (size > 0)
		*events |= TCP_EV_OUTPUT;
	return size;
}

void tcp_send(struct tcb *tcb, struct buf_queue *data, unsigned *events)
{
	WEFT_ASSERT(data->bytes <= tcp_send_room(tcb));
	for (struct buf *b = data->head; b; b = b->next) {
		b->seq = tcb->snd_end;
		tcb->snd_end += b->len;
	}
	buf_queue_join(&tcb->sndq, data);
	tcb->uncork = false;
	*events |= TCP_EV_OUTPUT;
}

struct buf_queue tcp_send_take(struct tcb *tcb)
{
	struct buf_queue q = tcb->sndq;

	if (tcb->sb)
		tcb->sb->cursor = NULL;
	tcb->sndq = (struct buf_queue){0};
	return q;
}

void tcp_send_put(struct tcb *tcb, struct buf_queue *data)
{
	uint32_t seq = tcb->snd_end - data->bytes;

	WEFT_ASSERT(!tcb->sndq.head);
	for (struct buf *b = data->head; b; b = b->next) {
		b->seq = seq;
		seq += b->len;
	}
	buf_queue_join(&tcb->sndq, data);
}

bool tcp_send_may_wait(const struct tcb *tcb)
{
	uint32_t unsent = unsent_bytes(tcb);

	if (tcb->state != TCPS_ESTABLISHED && tcb->state != TCPS_CLOSE_WAIT)
		return false;
	if (tcb->fin_queued || tcb->ack_now || tcb->rexmit_front || tcb->probe_due ||
	    tcb->keep_due || tcb->in_recovery || tcb->rto_recovery || tcb->urg_out)
		return false;
	return tcb->srtt > 0 && tcb->srtt < TCP_CORK_SRTT && unsent < TCP_CORK_BYTES &&
	       tcb->snd_nxt - tcb->snd_una >= TCP_CORK_BYTES;
}

/* ---- Receiving. ---- */

/* Takes 'take' bytes off the first buffer; the buffer itself goes when nothing is left. */
static void consume(struct tcb *tcb, uint32_t take)
{
	struct buf_queue *q = &tcb->rcvq;
	struct buf *head = q->head;

	if (take == head->len) {
		buf_queue_push(&tcb->trash, buf_queue_pop(q));
		return;
	}
	head->data += take;
	head->len -= take;
	head->seq += take;
	q->bytes -= take;
}

void urgent_pass(struct tcb *tcb)
{
	consume(tcb, 1);
	tcb->urg_state = TCP_URGENT_NONE;
}

unsigned tcp_recv(struct tcb *tcb, uint32_t size, bool peek, struct view *views, unsigned count,
		  unsigned *events)
{
	unsigned n = 0;
	uint32_t skip = 0;

	if (tcb->urg_state != TCP_URGENT_NONE) {
		bool skips;

		size = urgent_limit(tcb, size, &skips);
		if (skips && !peek)
			urgent_pass(tcb);
		else
			skip = skips;
	}
	struct buf *b = tcb->rcvq.head;

	if (b && skip == b->len) {
		b = b->next;
		skip = 0;
	}
	while (b && size > 0 && n < count) {
		struct buf *next = b->next;
		uint32_t take = b->len - skip < size ? b->len - skip : size;

		views[n] = (struct view){.buf = b, .data = b->data + skip, .len = take};
		size -= take;
		skip = 0;
		if (!peek && take == b->len) { /* the queue's reference becomes the view's */
			views[n++].buf = buf_queue_pop(&tcb->rcvq);
		} else {
			(void)buf_get(views[n++].buf);
			if (!peek)
				consume(tcb, take);
		}
		b = next;
	}
	if (!peek && tcb->urg_state != TCP_URGENT_NONE)
		urgent_read(tcb);
	if (n > 0 && !peek && window_update_due(tcb)) {
		tcb->ack_now = true;
		*events |= TCP_EV_OUTPUT;
	}
	return n;
}

/* ---- Endings. ---- */

void tcp_shutdown_write(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	(void)now;
	if (tcb->fin_queued)
		return;
	switch ((enum tcp_state)tcb->state) {
	case TCPS_ESTABLISHED:
		tcp_set_state(tcb, TCPS_FIN_WAIT_1);
		break;
	case TCPS_CLOSE_WAIT:
		tcp_set_state(tcb, TCPS_LAST_ACK);
		break;
	case TCPS_SYN_SENT:
	case TCPS_SYN_RCVD:
		break; /* the FIN waits for the handshake (EV-CALL-8) */
	case TCPS_CLOSED:
	case TCPS_LISTEN:
	case TCPS_FIN_WAIT_1:
	case TCPS_FIN_WAIT_2:
	case TCPS_CLOSING:
	case TCPS_LAST_ACK:
	case TCPS_TIME_WAIT:
	case TCPS_COUNT:
	default:
		return;
	}
	tcb->fin_queued = true;
	*events |= TCP_EV_OUTPUT | TCP_EV_WRITABLE;
}

void tcp_close(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	bool unread = tcb->rcvq.bytes > 0;

	if (tcb->app_closed)
		return;
	tcb->app_closed = true;
	if (tcb->state == TCPS_CLOSED || tcb->state == TCPS_TIME_WAIT) {
		tcp_fini(tcb);
		return;
	}
	if (tcb->state == TCPS_SYN_SENT) { /* EV-CALL-7: the peer need not be told */
		connection_end(tcb, ECONNABORTED, events);
		tcp_fini(tcb);
		return;
	}
	buf_queue_join(&tcb->trash, &tcb->rcvq);
	if (unread && MECHANISM(close_unread) &&
	    !(tcb->state == TCPS_CLOSING || tcb->state == TCPS_LAST_ACK)) {
		tcp_abort(tcb, ECONNABORTED, events); /* SHLD-3 */
		return;
	}
	tcp_shutdown_write(tcb, now, events);
	deadline_orphaned(tcb, now);
}

void tcp_abort(struct tcb *tcb, int error, unsigned *events)
{
	if (tcb->state == TCPS_CLOSED)
		return;
	switch ((enum tcp_state)tcb->state) {
	case TCPS_SYN_RCVD:
	case TCPS_ESTABLISHED:
	case TCPS_FIN_WAIT_1:
	case TCPS_FIN_WAIT_2:
	case TCPS_CLOSE_WAIT:
		tcb->rst_pending = true;
		*events |= TCP_EV_OUTPUT;
		break;
	case TCPS_CLOSED:
	case TCPS_LISTEN:
	case TCPS_SYN_SENT:
	case TCPS_CLOSING:
	case TCPS_LAST_ACK:
	case TCPS_TIME_WAIT:
	case TCPS_COUNT:
	default:
		break; /* EV-CALL-12 */
	}
	connection_end(tcb, error, events);
	buf_queue_join(&tcb->trash, &tcb->rcvq);
}

void tcp_lose_link(struct tcb *tcb, int error, unsigned *events)
{
	if (tcb->state != TCPS_CLOSED && tcb->state != TCPS_TIME_WAIT)
		connection_end(tcb, error, events);
}

/* CLOSED; what was received in order stays readable, what was to be sent is gone. */
void connection_end(struct tcb *tcb, int error, unsigned *events)
{
	if (tcb->state == TCPS_SYN_SENT && error != 0)
		counter_add(tcb->cfg->counters, C_TCP_OPEN_FAILED, 1);
	tcp_set_state(tcb, TCPS_CLOSED);
	tcb->error = (uint8_t)error;
	tcb->ack_now = false;
	tcb->in_recovery = tcb->rto_recovery = false;
	deadline_stop(tcb);
	sb_free(tcb);
	buf_queue_join(&tcb->trash, &tcb->sndq);
	tcb->urg_out = false;
	reass_clear(tcb);
	*events |= TCP_EV_CLOSED | TCP_EV_READABLE | TCP_EV_WRITABLE;
}

/* TIME-WAIT; a record takes over, the tcb keeps what its user may still read. */
void connection_time_wait(struct tcb *tcb, unsigned *events)
{
	tcp_set_state(tcb, TCPS_TIME_WAIT);
	deadline_stop(tcb);
	sb_free(tcb);
	counter_add(tcb->cfg->counters, C_TCP_TIME_WAIT_IN, 1);
	*events |= TCP_EV_TIME_WAIT | TCP_EV_READABLE | TCP_EV_WRITABLE;
}
