/*
 * UDP and ICMP echo replies on the RX thread: checks (RFC 768, RFC 8200 8.1), and on to the socket
 * (dgram_table.h).  What no UDP socket wants is refused by rx_icmp.c.
 */
#include "net/base/mechanism.h"
#include "net/stack/dgram.h"
#include "net/stack/rx_int.h"
#include "net/wire/icmp.h"
#include "net/wire/udp_hdr.h"

/* Both were noted apart: nobody stands in both. */
static void add_noted(struct waker **all, struct waker *more)
{
	while (*all)
		all = &(*all)->next;
	*all = more;
}

/* Behind the batch: another message of it may be for the same one. */
static void wake_later(struct rx *rx, struct dgram **d, struct sock_wakes wakes)
{
	struct rx_after *after = rx->after;

	for (unsigned i = 0; i < after->wake_count; i++) {
		struct rx_wake *w = &after->wake[i];

		if (w->conn != &(*d)->conn)
			continue;
		if (wakes.readers > w->wakes.readers)
			w->wakes.readers = wakes.readers;
		if (wakes.writers > w->wakes.writers)
			w->wakes.writers = wakes.writers;
		add_noted(&w->wakes.noted, wakes.noted);
		return;
	}
	after->wake[after->wake_count++] = (struct rx_wake){.conn = &(*d)->conn, .wakes = wakes};
	*d = NULL;
}

/* Gives the socket the 'len' bytes at 'data' of the packet; takes over the reference. */
static enum drop deliver(struct rx *rx, struct rx_pkt *p, struct dgram *d, const struct flow *flow,
			 const uint8_t *data, uint32_t len)
{
	struct dgram_in in = {.gso_size = p->gso_size < len ? p->gso_size : 0};
	uint32_t before = (uint32_t)(data - p->data);
	struct buf *b = rx_payload(rx, p, p->data, before + len);
	struct sock_wakes wakes = {COND_WAKE_NONE, COND_WAKE_NONE, NULL};
	enum drop why = DROP_NO_BUF;

	if (b) {
		in.ip_at = (uint32_t)(b->data - b->bytes);
		b->data += before;
		b->len = len;
		why = dgram_input(d, flow, &b, &in, &wakes);
	}
	rx_unpayload(rx, &b);
	if (sock_has_wakes(wakes))
		wake_later(rx, &d, wakes);
	dgram_put(&d);
	return why;
}

static enum drop parse(const struct rx_pkt *p, const uint8_t *udp, struct udp_hdr *hdr)
{
	bool is_trusted = p->flags & (WEFT_PKT_CSUM_VALID | WEFT_PKT_CSUM_PARTIAL);
	enum drop why = udp_hdr_read(udp, p->ip.payload_len, hdr);

	if (why != DROP_NONE)
		return why;
	/* RFC 8200 8.1: whoever vouches for the checksum, there has to be one. */
	if (is_trusted && (hdr->csum != 0 || addr_is_v4(&p->ip.dst) || !MECHANISM(udp_csum_v6)))
		return DROP_NONE;
	if (p->gso_size > 0 && MECHANISM(udp_gro_csum))
		return DROP_DEV_GSO; /* the datagrams' checksums are not in it */
	if (!udp_csum_ok(udp, hdr, &p->ip.src, &p->ip.dst) && MECHANISM(udp_csum))
		return DROP_UDP_CSUM;
	return DROP_NONE;
}

/* The datagrams that the packet stands for. */
static uint32_t count_segments(const struct rx_pkt *p, uint32_t len)
{
	return p->gso_size > 0 && len > p->gso_size ? (len + p->gso_size - 1) / p->gso_size : 1;
}

enum drop rx_udp(struct rx *rx, struct rx_pkt *p)
{
	const uint8_t *udp = p->data + p->ip.hdr_len;
	struct udp_hdr hdr;
	enum drop why = parse(p, udp, &hdr);

	if (why != DROP_NONE)
		return why;
	uint32_t len = (uint32_t)hdr.len - UDP_HDR_SIZE;
	uint32_t count = count_segments(p, len);

	if (count > DGRAM_SEGMENTS_MAX && MECHANISM(udp_gro_max))
		return DROP_DEV_GSO;
	const struct flow flow = {
		.local = p->ip.dst,
		.remote = p->ip.src,
		.local_port = hdr.dst_port,
		.remote_port = hdr.src_port,
	};
	struct dgram *d = dgram_table_get(&rx->stack->dgrams.udp, &flow);

	if (!d)
		return rx_no_port(rx, p);
	why = deliver(rx, p, d, &flow, udp + UDP_HDR_SIZE, len);
	if (why == DROP_NONE)
		counter_add(&rx->stack->counters, C_UDP_IN, count);
	/* Each datagram counts, here or there: the last one where all drops are counted. */
	for (uint32_t i = 1; why != DROP_NONE && i < count && MECHANISM(udp_gro_drops); i++)
		drop_count(&rx->stack->counters, why);
	return why;
}

enum drop rx_echo_reply(struct rx *rx, struct rx_pkt *p, uint16_t id)
{
	struct dgrams *all = &rx->stack->dgrams;
	bool is_v4 = p->ip.version == 4;
	const struct flow flow = {.local = p->ip.dst, .remote = p->ip.src, .local_port = id};
	struct dgram *d = dgram_table_get(is_v4 ? &all->ping4 : &all->ping6, &flow);

	if (!d)
		return DROP_ICMP_NO_SOCK;
	enum drop why = deliver(rx, p, d, &flow, p->data + p->ip.hdr_len, p->ip.payload_len);

	if (why == DROP_NONE)
		counter_add(&rx->stack->counters, C_ICMP_ECHO_IN, 1);
	return why;
}
