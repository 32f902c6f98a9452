/* Packets as text: the forms, and that text is cut, never written outside. */
#include "net/wire/print.h"

#include "net/wire/icmp.h"
#include "net/wire/ip.h"
#include "net/wire/udp_hdr.h"
#include "tests/unit/wire/exact.h"
#include "unit.h"

enum { TEXT_SIZE = 300 };

static struct tcp_hdr syn(void)
{
	return (struct tcp_hdr){
		.src_port = 80,
		.dst_port = 5000,
		.seq = 100,
		.ack = 1,
		.wnd = 65535,
		.flags = TCP_SYN | TCP_ACK,
		.opt = {.has_mss = true, .mss = 1460, .has_wscale = true, .wscale = 7},
	};
}

static void test_tcp(void)
{
	struct tcp_hdr hdr = syn();
	char text[TEXT_SIZE];

	CU_ASSERT_STRING_EQUAL(tcp_print(&hdr, 0, text, sizeof(text)),
			       "S. 100:100(0) ack 1 win 65535 <mss 1460,wscale 7>");
	hdr = (struct tcp_hdr){
		.seq = 4294967290u, .flags = TCP_FIN | TCP_PSH | TCP_URG, .wnd = 1, .up = 9};
	CU_ASSERT_STRING_EQUAL(tcp_print(&hdr, 10, text, sizeof(text)),
			       "FPU 4294967290:4(10) win 1 urg 9");
	hdr = (struct tcp_hdr){.opt = {.has_sack_ok = true,
				       .has_ts = true,
				       .ts_val = 1,
				       .ts_ecr = 2,
				       .sack_count = 2,
				       .sack = {{3, 4}, {5, 6}}}};
	CU_ASSERT_STRING_EQUAL(tcp_print(&hdr, 0, text, sizeof(text)),
			       "none 0:0(0) win 0 <sackOK,TS val 1 ecr 2,sack {3:4}{5:6}>");
}

static struct ip_hdr ends(bool is_v4, uint8_t proto, size_t payload_len)
{
	struct ip_hdr ip = {.proto = proto, .payload_len = (uint16_t)payload_len, .ttl = 64};

	CU_ASSERT_TRUE(addr_parse(is_v4 ? "10.0.0.1" : "2001:db8::1", &ip.src));
	CU_ASSERT_TRUE(addr_parse(is_v4 ? "10.0.0.2" : "2001:db8::2", &ip.dst));
	ip.version = is_v4 ? 4 : 6;
	return ip;
}

static size_t make_tcp(uint8_t *pkt, bool is_v4)
{
	struct tcp_hdr tcp = syn();
	struct ip_hdr ip = ends(is_v4, IP_PROTO_TCP, TCP_HDR_SIZE + tcp_opts_size(&tcp.opt));
	size_t at = ip_emit(pkt, &ip);

	return at + tcp_hdr_emit(pkt + at, &tcp);
}

static size_t make_udp(uint8_t *pkt, bool is_v4)
{
	struct udp_hdr udp = {.src_port = 53, .dst_port = 4000};
	struct ip_hdr ip = ends(is_v4, IP_PROTO_UDP, UDP_HDR_SIZE + 5);
	size_t at = ip_emit(pkt, &ip);

	memset(pkt + at + UDP_HDR_SIZE, 7, 5);
	return at + udp_hdr_emit(pkt + at, &udp, 5, &ip.src, &ip.dst) + 5;
}

static size_t make_icmp(uint8_t *pkt, bool is_v4, struct icmp_msg msg)
{
	uint8_t proto = is_v4 ? IP_PROTO_ICMP : IP_PROTO_ICMP6;
	struct ip_hdr ip = ends(is_v4, proto, ICMP_HDR_SIZE + msg.body_len);
	size_t at = ip_emit(pkt, &ip);

	return at + icmp_emit(pkt + at, &msg, &ip.src, &ip.dst);
}

static void test_packets(void)
{
	uint8_t pkt[200];
	char text[TEXT_SIZE];
	size_t size = make_tcp(pkt, true);

	CU_ASSERT_STRING_EQUAL(packet_print(pkt, size, text, sizeof(text)),
			       "10.0.0.1:80 > 10.0.0.2:5000 S. 100:100(0) ack 1 win 65535 "
			       "<mss 1460,wscale 7>");
	size = make_tcp(pkt, false);
	CU_ASSERT_STRING_EQUAL(packet_print(pkt, size, text, sizeof(text)),
			       "[2001:db8::1]:80 > [2001:db8::2]:5000 S. 100:100(0) ack 1 win "
			       "65535 <mss 1460,wscale 7>");
	size = make_udp(pkt, true);
	CU_ASSERT_STRING_EQUAL(packet_print(pkt, size, text, sizeof(text)),
			       "10.0.0.1:53 > 10.0.0.2:4000 UDP (5)");
	pkt[size - 1] ^= 1;
	CU_ASSERT_STRING_EQUAL(packet_print(pkt, size, text, sizeof(text)),
			       "10.0.0.1 > 10.0.0.2 <UDP_CSUM: bad UDP checksum>");
	CU_ASSERT_STRING_EQUAL(packet_print(pkt, 3, text, sizeof(text)),
			       "<IP_SHORT: shorter than an IP header>");
	struct ip_hdr ip = ends(true, 47, 9);

	size = ip_emit(pkt, &ip) + 9;
	CU_ASSERT_STRING_EQUAL(packet_print(pkt, size, text, sizeof(text)),
			       "10.0.0.1 > 10.0.0.2 proto 47 (9)");
	ip = ends(true, IP_PROTO_TCP, 9);
	size = ip_emit(pkt, &ip) + 9;
	CU_ASSERT_STRING_EQUAL(packet_print(pkt, size, text, sizeof(text)),
			       "10.0.0.1 > 10.0.0.2 <TCP_SHORT: shorter than a TCP header>");
}

static void test_icmp(void)
{
	uint8_t pkt[300], quoted[100];
	char text[TEXT_SIZE];
	size_t quoted_len = make_tcp(quoted, true);
	struct icmp_msg echo = {.kind = ICMP_ECHO_REQUEST, .id = 1, .seq = 2};
	struct icmp_msg big = {
		.kind = ICMP_TOO_BIG, .mtu = 1280, .body = quoted, .body_len = quoted_len};
	struct icmp_msg unreach = {.kind = ICMP_UNREACH, .code = 3};
	size_t size = make_icmp(pkt, true, echo);

	CU_ASSERT_STRING_EQUAL(packet_print(pkt, size, text, sizeof(text)),
			       "10.0.0.1 > 10.0.0.2 ICMP echo request id 1 seq 2 (0)");
	size = make_icmp(pkt, true, big);
	CU_ASSERT_STRING_EQUAL(packet_print(pkt, size, text, sizeof(text)),
			       "10.0.0.1 > 10.0.0.2 ICMP too big mtu 1280 for 10.0.0.1:80 > "
			       "10.0.0.2:5000 proto 6 seq 100");
	size = make_icmp(pkt, false, unreach);
	CU_ASSERT_STRING_EQUAL(packet_print(pkt, size, text, sizeof(text)),
			       "2001:db8::1 > 2001:db8::2 ICMP unreachable code 3");
	unreach.kind = ICMP_PARAM;
	unreach.pointer = 40;
	size = make_icmp(pkt, false, unreach);
	CU_ASSERT_STRING_EQUAL(
		packet_print(pkt, size, text, sizeof(text)),
		"2001:db8::1 > 2001:db8::2 ICMP parameter problem code 3 pointer 40");
}

/* For every size of the text and of the packet: a prefix of the full text, ended by a NUL. */
static void test_never_overflows(void)
{
	uint8_t pkt[300], quoted[100];
	char full[TEXT_SIZE];
	size_t quoted_len = make_tcp(quoted, true);
	struct icmp_msg big = {.kind = ICMP_TOO_BIG, .body = quoted, .body_len = quoted_len};

	for (int which = 0; which < 3; which++) {
		size_t pkt_size = which == 0   ? make_tcp(pkt, false)
				  : which == 1 ? make_udp(pkt, false)
					       : make_icmp(pkt, true, big);

		packet_print(pkt, pkt_size, full, sizeof(full));
		for (size_t size = 0; size < strlen(full) + 3; size++) {
			char *text = (char *)exact_copy(pkt, size);

			CU_ASSERT_PTR_EQUAL(packet_print(pkt, pkt_size, text, size), text);
			if (size > 0) {
				size_t len = strnlen(text, size);
				size_t expected = strlen(full) < size ? strlen(full) : size - 1;

				CU_ASSERT_EQUAL_FATAL(len, expected);
				CU_ASSERT_EQUAL(memcmp(text, full, len), 0);
			}
			free(text);
		}
		for (size_t size = 0; size < pkt_size; size++) {
			uint8_t *copy = exact_copy(pkt, size);

			packet_print(copy, size, full, sizeof(full));
			CU_ASSERT_EQUAL(full[0], '<');
			free(copy);
		}
	}
}

UNIT_MAIN("print", UNIT(tcp), UNIT(packets), UNIT(icmp), UNIT(never_overflows))
