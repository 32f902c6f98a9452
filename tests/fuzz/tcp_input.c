/*
 * libFuzzer target: bytes choose a state, options and then a sequence of segments (mostly near the
 * valid numbers), calls of the application and steps of time; tcb_check runs after each.  The input
 * is a program of one opcode byte and its arguments; missing bytes read as 0.
 */
#include "net/base/seq.h"
#include "net/tcp/synrcvd.h"
#include "net/tcp/tcp.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPS_MAX = 400 };

struct fuzz {
	const uint8_t *at;
	size_t left;
	struct tcb tcb;
	struct tcp_cfg cfg;
	struct counters counters;
	struct bufpool *pool;
	weft_time_us now;
	uint32_t peer_ts;
};

static uint8_t take(struct fuzz *f)
{
	if (f->left == 0)
		return 0;
	f->left--;
	return *f->at++;
}

static uint32_t take32(struct fuzz *f)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++)
		value = value << 8 | take(f);
	return value;
}

/* A byte as a signed number, times 'scale', modulo 2^32. */
static uint32_t offset(struct fuzz *f, uint32_t scale)
{
	uint32_t byte = take(f);

	return (byte < 128 ? byte : byte - 256) * scale;
}

/* A number near 'base', or anything. */
static uint32_t near(struct fuzz *f, uint32_t base)
{
	uint8_t how = take(f);

	if (how < 160)
		return base;
	if (how < 230)
		return base + offset(f, 1);
	if (how < 250)
		return base + offset(f, 256);
	return take32(f);
}

static void after(struct fuzz *f, unsigned events)
{
	struct tcp_seg_out out;

	buf_queue_clear(&f->tcb.trash);
	tcb_check(&f->tcb);
	for (unsigned n = 0; events & TCP_EV_OUTPUT && tcp_output(&f->tcb, f->now, &out); n++) {
		uint32_t total = 0;
		for (unsigned i = 0; i < out.view_count; i++)
			total += out.view[i].len;
		if (total != out.len || n > 5000)
			abort();
		tcb_check(&f->tcb);
	}
	buf_queue_clear(&f->tcb.trash);
}

static void take_options(struct fuzz *f, struct tcp_opts *opt)
{
	uint8_t bits = take(f);

	opt->has_ts = bits & 1;
	if (opt->has_ts) {
		opt->ts_val = near(f, f->peer_ts);
		opt->ts_ecr = near(f, (uint32_t)(f->now / US_PER_MS));
	}
	opt->has_mss = (bits & 0x12) == 0x12;
	opt->mss = opt->has_mss ? (uint16_t)(take(f) << 8 | take(f)) : 0;
	opt->has_wscale = (bits & 0x14) == 0x14;
	opt->wscale = opt->has_wscale ? take(f) : 0;
	opt->has_sack_ok = (bits & 0x18) == 0x18;
	if (bits & 0x20) {
		opt->sack_count = (uint8_t)(take(f) % (TCP_SACK_MAX + 1));
		for (unsigned i = 0; i < opt->sack_count; i++) {
			opt->sack[i].start = near(f, f->tcb.snd_una);
			opt->sack[i].end = near(f, f->tcb.snd_max);
		}
	}
}

static void segment(struct fuzz *f)
{
	static const uint8_t usual[] = {TCP_ACK,           TCP_ACK,          TCP_ACK | TCP_PSH,
					TCP_ACK | TCP_FIN, TCP_SYN,          TCP_SYN | TCP_ACK,
					TCP_RST,           TCP_RST | TCP_ACK};
	struct tcp_seg seg = {.seq = near(f, f->tcb.rcv_nxt)};
	uint8_t kind = take(f);
	unsigned events = 0;

	seg.ack = near(f, kind & 0x40 ? f->tcb.snd_una : f->tcb.snd_max);
	seg.flags = kind & 0x80 ? take(f) : usual[kind & 7];
	seg.wnd = kind & 0x20 ? (uint16_t)(take(f) << 8 | take(f)) : 0xffff;
	seg.up = seg.flags & TCP_URG ? (uint16_t)(take(f) << 8 | take(f)) : 0;
	seg.len = kind & 0x10 ? 1 + (uint32_t)take(f) * (kind & 8 ? 100 : 1) : 0;
	take_options(f, &seg.opt);
	if (seg.len > 0) {
		seg.buf = buf_new(f->pool, seg.len + (kind & 0x08 ? 0 : 1000));
		if (!seg.buf)
			return;
		memset(seg.buf->data, kind, seg.len);
		seg.buf->len = seg.len;
	}
	tcp_input(&f->tcb, &seg, f->now, &events);
	buf_put(&seg.buf);
	after(f, events);
}

static void send_data(struct fuzz *f)
{
	uint32_t size = 1 + (uint32_t)take(f) * 64, room = tcp_send_room(&f->tcb);
	static const uint8_t bytes[64];
	struct buf_queue q = {.head = NULL};
	unsigned events = 0;

	size = size < room ? size : room;
	if (size == 0)
		return;
	if (size <= sizeof(bytes)) {
		size -= tcp_send_pack(&f->tcb, bytes, size, &events);
		after(f, events);
		events = 0;
	}
	struct buf *b = size > 0 ? buf_new(f->pool, size) : NULL;
	if (!b)
		return;
	memset(b->data, 0, size);
	b->len = size;
	buf_queue_push(&q, b);
	tcp_send(&f->tcb, &q, &events);
	after(f, events);
}

static void receive_data(struct fuzz *f)
{
	struct view views[4];
	unsigned events = 0;
	uint8_t how = take(f);
	unsigned count = tcp_recv(&f->tcb, 1 + (uint32_t)how * 50, how & 1, views, 4, &events);

	for (unsigned i = 0; i < count; i++)
		buf_put(&views[i].buf);
	after(f, events);
}

/* Time passes: to the next deadline, or by a little, or by long. */
static void pass(struct fuzz *f)
{
	unsigned events = 0;
	uint8_t how = take(f);
	weft_time_us due = tcp_deadline(&f->tcb);

	if (how < 128 && due != WEFT_TIME_NEVER && due > f->now)
		f->now = due;
	else
		f->now += how < 200 ? (weft_time_us)how * 1000 : (weft_time_us)how * US_PER_S;
	f->peer_ts += how;
	tcp_tick(&f->tcb, f->now, &events);
	after(f, events);
}

static void setting(struct fuzz *f)
{
	unsigned events = 0;
	uint8_t what = take(f), value = take(f);

	switch (what % 7) {
	case 0:
		tcp_set_rcv_buf(&f->tcb, 256 + (uint32_t)value * 512, &events);
		break;
	case 1:
		tcp_set_snd_buf(&f->tcb, 256 + (uint32_t)value * 512, &events);
		break;
	case 2:
		tcp_set_nodelay(&f->tcb, value & 1, &events);
		break;
	case 3:
		tcp_set_keepalive(&f->tcb, value & 1, f->now);
		break;
	case 4:
		tcp_set_keep_times(&f->tcb, (1 + value) * US_PER_S, US_PER_S, 3, f->now);
		break;
	case 5:
		tcp_set_user_timeout(&f->tcb, (1 + value) * US_PER_S, f->now);
		break;
	default:
		tcp_icmp_error(&f->tcb, near(f, f->tcb.snd_una), 111, value & 1, &events);
		break;
	}
	after(f, events);
}

static void user_call(struct fuzz *f)
{
	unsigned events = 0;

	switch (take(f) % 16) {
	case 0:
		tcp_close(&f->tcb, f->now, &events);
		break;
	case 1:
		tcp_abort(&f->tcb, 104, &events);
		break;
	case 2:
	case 3:
		tcp_shutdown_write(&f->tcb, f->now, &events);
		break;
	default:
		setting(f);
		return;
	}
	after(f, events);
}

/* A connection in a state of the input's choice: the rest of the way goes by segments. */
static void open_connection(struct fuzz *f, uint8_t how)
{
	uint32_t iss = take32(f), irs = take32(f);
	unsigned events = 0;
	struct tcp_params params = {.cfg = &f->cfg,
				    .rcv_buf_size = 500 + (uint32_t)take(f) * 300,
				    .snd_buf_size = 500 + (uint32_t)take(f) * 300,
				    .rcv_buf_max = 1u << (10 + take(f) % 21),
				    .ts_offset = iss ^ irs,
				    .mss_local = (uint16_t)(536 + take(f) * 4),
				    .rcv_auto = how & 0x40,
				    .snd_auto = how & 0x20,
				    .is_v6 = how & 0x80};
	struct tcp_seg syn = {.seq = irs, .flags = TCP_SYN, .wnd = 0x8000};

	f->peer_ts = irs;
	take_options(f, &syn.opt);
	tcp_init(&f->tcb, &params);
	if (how & 1) {
		struct tcp_synrcvd rec;
		tcp_synrcvd_init(&rec, &params, &syn, iss, f->now);
		tcp_open_passive(&f->tcb, &rec, f->now);
	} else {
		tcp_open_active(&f->tcb, iss, f->now, &events);
		after(f, events);
		syn.ack = iss + 1;
		syn.flags |= how & 2 ? TCP_ACK : 0;
		if (how & 4)
			return; /* SYN-SENT */
	}
	events = 0;
	if (how & 1) {
		syn.flags = TCP_ACK;
		syn.seq++;
		syn.ack = iss + 1;
	}
	tcp_input(&f->tcb, &syn, f->now, &events);
	after(f, events);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;

	memset(&f, 0, sizeof(f));
	f.at = data;
	f.left = size;
	f.now = ((weft_time_us)1 << 32) - US_PER_S;
	f.pool = bufpool_new(64 << 20);
	if (!f.pool)
		return 0;
	tcp_cfg_default(&f.cfg);
	f.cfg.counters = &f.counters;
	f.cfg.buf_max = 1 << 20;
	open_connection(&f, take(&f));
	for (unsigned ops = 0; f.left > 0 && ops < OPS_MAX; ops++) {
		uint8_t op = take(&f);
		if (op < 150)
			segment(&f);
		else if (op < 180)
			send_data(&f);
		else if (op < 200)
			receive_data(&f);
		else if (op < 235)
			pass(&f);
		else
			user_call(&f);
	}
	tcp_fini(&f.tcb);
	buf_queue_clear(&f.tcb.trash);
	if (bufpool_lent(f.pool) != 0)
		abort();
	bufpool_free(f.pool);
	return 0;
}
