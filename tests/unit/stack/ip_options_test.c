/* IP options of sockets as they are on the wire: TTL, TOS, fragments allowed, GTSM. */
#include "net/stack/stack_int.h"
#include "raw.h"

/* TTL, TOS and DF are on the wire from the SYN on, of a listener's SYN-ACK, too. */
static void test_ip_options_on_the_wire(void)
{
	static uint8_t pkt[2048];
	struct rig_config config = rig_config_default();
	struct sock_addr at = rig_at("10.1.0.2", 80), at6 = rig_at("fd01::2", 80);
	struct ip_hdr ip;
	struct raw raw;
	struct sock *s;
	uint16_t id = 0;

	raw_open(&raw, &config);
	WEFT_ASSERT(sock_new(raw.stack, true, &s) == 0);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_TTL), 64);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_TOS), 0);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_PMTUDISC), SOCK_PMTUDISC_WANT);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_TTL, 0), -EINVAL);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_MTU, 1300), -ENOPROTOOPT);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_TTL, 255), 0);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_TOS, 0xbb), 0);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_TOS), 0xb8); /* less the ECN bits */
	CU_ASSERT_EQUAL(sock_connect(s, &at6, true), -EINPROGRESS);
	CU_ASSERT_TRUE(raw_read(&raw, pkt, sizeof(pkt), 1000) > 0);
	CU_ASSERT_EQUAL(ip_parse(pkt, sizeof(pkt), &ip), DROP_NONE);
	CU_ASSERT_EQUAL(ip.ttl, 255);
	CU_ASSERT_EQUAL(ip.tos, 0xb8);
	rig_drop(&s);
	for (int i = 0; i < 2; i++) {
		WEFT_ASSERT(sock_new(raw.stack, false, &s) == 0);
		CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_TTL, 1), 0);
		CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_PMTUDISC, SOCK_PMTUDISC_DONT), 0);
		CU_ASSERT_EQUAL(sock_connect(s, &at, true), -EINPROGRESS);
		CU_ASSERT_TRUE(raw_read(&raw, pkt, sizeof(pkt), 1000) > 0);
		CU_ASSERT_EQUAL(ip_parse(pkt, sizeof(pkt), &ip), DROP_NONE);
		CU_ASSERT_EQUAL(ip.ttl, 1);
		CU_ASSERT_TRUE(ip.may_frag);
		CU_ASSERT_TRUE(i == 0 || ip.id == (uint16_t)(id + 1));
		id = ip.id;
		rig_drop(&s);
	}
	/* -1 is the default. */
	WEFT_ASSERT(sock_new(raw.stack, false, &s) == 0);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_TTL, 7), 0);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_TTL, -1), 0);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_TTL), 64);
	rig_drop(&s);
	raw_close(&raw);
}

/* RFC 5082: with IP_MINTTL 64 what comes with 63 is dropped, for a listener, its children, a client. */
static void test_min_ttl(void)
{
	struct rig_config config = rig_config_default();
	struct tcp_hdr got = {0},
		       syn = {.src_port = 1234, .dst_port = 7, .seq = 5, .flags = TCP_SYN};
	struct sock *child;
	struct raw raw;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 7, 16);

	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_MINTTL, 65), 0);
	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_TTL, 9), 0);
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_TTL, 1));
	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_MINTTL, 64), 0);
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_SYN | TCP_ACK);
	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_MINTTL, 65), 0);
	syn.flags = TCP_ACK;
	syn.seq = 6;
	syn.ack = got.seq + 1;
	syn.wnd = 1000;
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_TTL, 2));
	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_MINTTL, 64), 0);
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	CU_ASSERT_EQUAL(sock_accept(l, false, &child), 0);
	CU_ASSERT_EQUAL(rig_opt(child, SOCK_OPT_MINTTL), 64);
	CU_ASSERT_EQUAL(rig_opt(child, SOCK_OPT_TTL), 9);
	CU_ASSERT_EQUAL(sock_setopt(child, SOCK_OPT_MINTTL, 255), 0);
	syn.flags = TCP_RST;
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_TTL, 3));
	CU_ASSERT_EQUAL(rig_opt(child, SOCK_OPT_MTU), 1500);
	rig_drop(&child);
	rig_drop(&l);
	raw_close(&raw);
}

UNIT_MAIN("ip_options", UNIT(ip_options_on_the_wire), UNIT(min_ttl))
