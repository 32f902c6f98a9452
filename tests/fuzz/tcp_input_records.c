/*
 * libFuzzer target: segments for a listener, its half-open record and a TIME-WAIT record.  A record
 * that says ESTABLISHED becomes a connection, which takes the segment and is checked.
 */
#include "net/tcp/synrcvd.h"
#include "net/tcp/tcp.h"
#include "net/tcp/timewait.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	const uint8_t *at;
	size_t left;
	struct tcp_cfg cfg;
	struct counters counters;
	struct tcp_params params;
	struct tcp_synrcvd rec;
	struct tcp_timewait tw;
	struct tcb tcb;
	bool has_rec;
	weft_time_us now;
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

static uint32_t near(struct fuzz *f, uint32_t base)
{
	uint8_t how = take(f);

	if (how < 200)
		return base + (uint32_t)(how % 5) - 2;
	return how < 240 ? base + offset(f, 128) : take32(f);
}

static struct tcp_seg take_segment(struct fuzz *f)
{
	uint32_t seq = f->has_rec ? f->rec.irs + 1 : f->tw.rcv_nxt;
	uint32_t ack = f->has_rec ? f->rec.iss + 1 : f->tw.snd_nxt;
	struct tcp_seg seg = {.seq = near(f, seq), .ack = near(f, ack), .flags = take(f)};

	seg.wnd = (uint16_t)(take(f) << 8);
	seg.opt.has_ts = take(f) & 1;
	seg.opt.ts_val = near(f, f->has_rec ? f->rec.ts_recent : f->tw.ts_recent);
	seg.opt.ts_ecr = take32(f);
	seg.opt.has_mss = take(f) & 1;
	seg.opt.mss = (uint16_t)take32(f);
	seg.opt.has_wscale = take(f) & 1;
	seg.opt.wscale = take(f);
	seg.opt.has_sack_ok = take(f) & 1;
	return seg;
}

/* The reply must be a header that can be sent. */
static void check_reply(const struct tcp_seg_out *out)
{
	if (out->len != 0 || out->view_count != 0 || tcp_opts_size(&out->opt) > TCP_OPT_MAX)
		abort();
}

static void establish(struct fuzz *f, struct tcp_seg *seg)
{
	unsigned events = 0;
	struct tcp_seg_out out;

	tcp_init(&f->tcb, &f->params);
	tcp_open_passive(&f->tcb, &f->rec, f->now);
	tcb_check(&f->tcb);
	tcp_input(&f->tcb, seg, f->now, &events);
	tcb_check(&f->tcb);
	if (f->tcb.state == TCPS_SYN_RCVD)
		abort(); /* the record promised that the handshake completes */
	for (unsigned n = 0; tcp_output(&f->tcb, f->now, &out); n++)
		if (n > 10)
			abort();
	if (f->tcb.state == TCPS_TIME_WAIT)
		tcp_timewait_init(&f->tw, &f->tcb, f->now);
	tcp_fini(&f->tcb);
}

static void hear_record(struct fuzz *f)
{
	struct tcp_seg seg = take_segment(f);
	struct tcp_seg_out out;
	enum drop why = DROP_COUNT;

	memset(&out, 0, sizeof(out));
	switch (tcp_synrcvd_input(&f->rec, &seg, &f->cfg, f->now, &out, &why)) {
	case TCP_SYNRCVD_REPLY:
		check_reply(&out);
		break;
	case TCP_SYNRCVD_RESEND:
		if (!tcp_synrcvd_output(&f->rec, &f->cfg, f->now, &out))
			abort();
		check_reply(&out);
		break;
	case TCP_SYNRCVD_RESET:
		check_reply(&out);
		f->has_rec = false;
		break;
	case TCP_SYNRCVD_GONE:
		f->has_rec = false;
		break;
	case TCP_SYNRCVD_ESTABLISHED:
		f->has_rec = false;
		establish(f, &seg);
		break;
	case TCP_SYNRCVD_DROP:
	default:
		break;
	}
	if (why >= DROP_COUNT)
		abort();
}

static void hear_others(struct fuzz *f)
{
	struct tcp_seg seg = take_segment(f);
	struct tcp_seg_out out;
	enum drop why = DROP_COUNT;

	memset(&out, 0, sizeof(out));
	if (tcp_timewait_input(&f->tw, &seg, &f->cfg, f->now, &out, &why) == TCP_TIMEWAIT_REPLY)
		check_reply(&out);
	if (why >= DROP_COUNT)
		abort();
	if (tcp_listen_input(&seg, &why) == TCP_LISTEN_SYN) {
		tcp_synrcvd_init(&f->rec, &f->params, &seg, take32(f), f->now);
		f->has_rec = true;
	} else if (tcp_reset_for(&seg, &out)) {
		check_reply(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;

	memset(&f, 0, sizeof(f));
	f.at = data;
	f.left = size;
	f.now = ((weft_time_us)1 << 32) - US_PER_S;
	tcp_cfg_default(&f.cfg);
	f.cfg.counters = &f.counters;
	f.params = (struct tcp_params){.cfg = &f.cfg,
				       .rcv_buf_size = 500 + (uint32_t)take(&f) * 300,
				       .snd_buf_size = 10000,
				       .rcv_buf_max = 1u << (10 + take(&f) % 21),
				       .ts_offset = take32(&f),
				       .mss_local = 1460};
	f.tw.ts_on = take(&f) & 1;
	f.tw.rcv_nxt = take32(&f);
	f.tw.snd_nxt = take32(&f);
	for (unsigned ops = 0; f.left > 0 && ops < 300; ops++) {
		f.now += (weft_time_us)take(&f) * 20000;
		if (f.has_rec && f.now >= tcp_synrcvd_deadline(&f.rec, &f.cfg, f.now))
			f.has_rec = tcp_synrcvd_tick(&f.rec, &f.cfg, f.now);
		if (f.has_rec)
			hear_record(&f);
		else
			hear_others(&f);
	}
	return 0;
}
