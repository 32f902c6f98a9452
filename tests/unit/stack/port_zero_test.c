/*
 * Nobody has TCP's port 0: who comes to it is refused as wherever nobody listens, and so is who comes from
 * it, whoever listens.
 */
#include "raw.h"

static void test_port_zero(void)
{
	struct rig_config config = rig_config_default();
	struct tcp_hdr got, seg = {.src_port = 1234, .seq = 5, .wnd = 1000, .flags = TCP_SYN};
	struct raw raw;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "0.0.0.0", 9, 16);

	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &seg, "", false);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_RST | TCP_ACK);
	CU_ASSERT_EQUAL(got.src_port, 0);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_NO_CONN, 1));
	seg.dst_port = 9;
	seg.src_port = 0;
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &seg, "", false);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_RST | TCP_ACK);
	CU_ASSERT_EQUAL(got.dst_port, 0);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_PORT_ZERO, 1));
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 0);
	rig_drop(&l);
	raw_close(&raw);
}

UNIT_MAIN("port_zero", UNIT(port_zero))
