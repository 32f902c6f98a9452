/* What IP does with TCP's advice at R1 (RFC 9293 3.8.3): another flow label, so perhaps another path. */
#include "raw.h"

/* The next segment and the flow label it came with. */
static bool read_label(struct raw *raw, struct tcp_hdr *hdr, uint32_t *label)
{
	static uint8_t pkt[2048];
	struct ip_hdr ip;
	size_t size = raw_read(raw, pkt, sizeof(pkt), 1000);

	if (size == 0 || ip_parse(pkt, size, &ip) != DROP_NONE)
		return false;
	*label = ip.label;
	return tcp_hdr_parse(pkt + ip.hdr_len, ip.payload_len, hdr) == DROP_NONE;
}

static void test_label_of_a_bad_path(void)
{
	struct rig_config config = rig_config_default();
	struct tcp_hdr hdr = {
		.src_port = 100, .dst_port = 80, .seq = 1000, .flags = TCP_SYN, .wnd = 8000};
	struct tcp_hdr got;
	struct sock *child;
	struct raw raw;
	uint32_t label, others[6];

	config.stack.tcp.rto_min = config.stack.tcp.rto_initial = 20 * US_PER_MS;
	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "fd00::1", 80, 4);

	raw_tcp(&raw, "fd00::2", "fd00::1", &hdr, "", false);
	CU_ASSERT_TRUE_FATAL(read_label(&raw, &got, &label));
	CU_ASSERT_EQUAL(got.flags, TCP_SYN | TCP_ACK);
	CU_ASSERT_NOT_EQUAL(label, 0);
	hdr.seq++;
	hdr.ack = got.seq + 1;
	hdr.flags = TCP_ACK;
	raw_tcp(&raw, "fd00::2", "fd00::1", &hdr, "", false);
	while (sock_accept(l, true, &child) != 0)
		rig_settle(1);
	CU_ASSERT_EQUAL(rig_send(child, "data", 4), 4);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) { /* the first, and five again */
		bool is_read = read_label(&raw, &got, &others[i]);

		CU_ASSERT_TRUE_FATAL(is_read);
		CU_ASSERT_EQUAL(got.seq, hdr.ack);
	}
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(others[i], label);
	CU_ASSERT_NOT_EQUAL(others[3], label);
	CU_ASSERT_NOT_EQUAL(others[4], others[3]);
	CU_ASSERT_NOT_EQUAL(others[5], others[4]);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_TCP_R1], 1);
	rig_drop(&child);
	rig_drop(&l);
	raw_close(&raw);
}

UNIT_MAIN("path_tries", UNIT(label_of_a_bad_path))
