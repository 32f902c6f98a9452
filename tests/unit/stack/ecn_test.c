/* ECN between the wire and the core: the bits of the IP header, in and out, for both families. */
#include "raw.h"

/* Writes a TCP segment in a packet with 'tos'. */
static void write_marked(struct raw *raw, bool is_v6, const struct tcp_hdr *hdr, const char *data,
			 uint8_t tos)
{
	uint8_t pkt[IP_HDR_MAX + TCP_HDR_MAX + 64], tcp[TCP_HDR_MAX + 64];
	struct ip_hdr ip = {
		.src = rig_addr(is_v6 ? "fd00::2" : "10.0.0.2"),
		.dst = rig_addr(is_v6 ? "fd00::1" : "10.0.0.1"),
		.proto = IP_PROTO_TCP,
		.ttl = 64,
		.tos = tos,
	};
	size_t len = tcp_hdr_emit(tcp, hdr);

	memcpy(tcp + len, data, strlen(data));
	len += strlen(data);
	uint64_t sum = csum_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, (uint32_t)len);
	uint16_t csum = csum_finish(csum_add(sum, tcp, len));

	tcp[16] = (uint8_t)(csum >> 8);
	tcp[17] = (uint8_t)csum;
	ip.payload_len = (uint16_t)len;
	size_t ip_len = ip_emit(pkt, &ip);

	memcpy(pkt + ip_len, tcp, len);
	raw_write(raw, pkt, ip_len + len);
}

/* The next segment and the traffic class it came with. */
static bool read_marked(struct raw *raw, struct tcp_hdr *hdr, uint8_t *tos)
{
	static uint8_t pkt[2048];
	struct ip_hdr ip;
	size_t size = raw_read(raw, pkt, sizeof(pkt), 1000);

	if (size == 0 || ip_parse(pkt, size, &ip) != DROP_NONE)
		return false;
	*tos = ip.tos;
	return tcp_hdr_parse(pkt + ip.hdr_len, ip.payload_len, hdr) == DROP_NONE;
}

static void talk(bool is_v6)
{
	struct rig_config config = rig_config_default();
	struct tcp_hdr hdr = {.src_port = 100,
			      .dst_port = 80,
			      .seq = 1000,
			      .flags = TCP_SYN | TCP_ECE | TCP_CWR,
			      .wnd = 8000};
	struct tcp_hdr got;
	struct sock *child;
	struct raw raw;
	uint8_t tos = 0xff;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, is_v6 ? "fd00::1" : "10.0.0.1", 80, 4);

	write_marked(&raw, is_v6, &hdr, "", 0);
	CU_ASSERT_TRUE_FATAL(read_marked(&raw, &got, &tos));
	CU_ASSERT_EQUAL(got.flags, TCP_SYN | TCP_ACK | TCP_ECE);
	CU_ASSERT_EQUAL(tos, 0);
	hdr.seq++;
	hdr.ack = got.seq + 1;
	hdr.flags = TCP_ACK;
	write_marked(&raw, is_v6, &hdr, "marked", IP_ECN_CE);
	CU_ASSERT_TRUE_FATAL(read_marked(&raw, &got, &tos));
	CU_ASSERT_EQUAL(got.flags, TCP_ACK | TCP_ECE);
	CU_ASSERT_EQUAL(got.ack, 1007);
	CU_ASSERT_EQUAL(tos, 0);
	CU_ASSERT_EQUAL(sock_accept(l, false, &child), 0);
	CU_ASSERT_EQUAL(rig_send(child, "data", 4), 4);
	CU_ASSERT_TRUE_FATAL(read_marked(&raw, &got, &tos));
	CU_ASSERT_EQUAL(got.flags, TCP_ACK | TCP_PSH | TCP_ECE);
	CU_ASSERT_EQUAL(tos, IP_ECN_ECT0);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_TCP_ECN_OPEN], 1);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_TCP_ECN_CE_IN], 1);
	rig_drop(&child);
	rig_drop(&l);
	raw_close(&raw);
}

static void test_marks_on_the_wire(void)
{
	talk(false);
	talk(true);
}

UNIT_MAIN("ecn", UNIT(marks_on_the_wire))
