/* TCP_INFO's numbers from the core's. */
#include "api/src/tcpinfo.h"
#include "unit.h"
#include <string.h>

static void test_fills(void)
{
	struct tcp_status status = {.state = TCPS_ESTABLISHED,
				    .ts_on = true,
				    .wscale_on = true,
				    .ecn_on = true,
				    .ecn_seen = true,
				    .snd_wscale = 7,
				    .rcv_wscale = 9,
				    .snd_mss = 1000,
				    .cwnd = 10000,
				    .unacked_bytes = 2500,
				    .srtt_us = 1234,
				    .rtt_min_us = 1000,
				    .notsent_bytes = 77,
				    .delivered_bytes = 5500,
				    .rto_recovery = true,
				    .backoff = 2,
				    .bytes_sent = 1ull << 40,
				    .delivery_rate = 5ull << 32,
				    .rate_app_limited = true,
				    .path_tries = 6,
				    .fo_fail = TCP_FO_DATA_NOT_ACKED};
	struct tcpinfo full;
	struct tcp_info info;

	tcpinfo_fill(&full, &status);
	memcpy(&info, &full, sizeof(full.head));
	CU_ASSERT(info.tcpi_state == TCP_ESTABLISHED);
	CU_ASSERT(info.tcpi_options ==
		  (TCPI_OPT_TIMESTAMPS | TCPI_OPT_WSCALE | TCPI_OPT_ECN | TCPI_OPT_ECN_SEEN));
	CU_ASSERT(info.tcpi_snd_wscale == 7 && info.tcpi_rcv_wscale == 9);
	CU_ASSERT(info.tcpi_snd_cwnd == 10 && info.tcpi_unacked == 3);
	CU_ASSERT(info.tcpi_rtt == 1234);
	CU_ASSERT(info.tcpi_ca_state == TCP_CA_Loss && info.tcpi_retransmits == 2);
	CU_ASSERT(full.min_rtt == 1000 && full.notsent_bytes == 77 && full.delivered == 6);
	CU_ASSERT(full.bytes_sent == 1ull << 40 && full.pacing_rate == UINT64_MAX);
	CU_ASSERT(full.delivery_rate == 5ull << 32 && full.rehash == 6);
	/* The two fields that libc's struct has no name for, in Linux's bits. */
	CU_ASSERT(full.head[TCPINFO_FLAGS] == (1 | 2 << 1) && full.head[TCPINFO_WSCALES] == 0x97);
}

static void test_congestion_states(void)
{
	static const struct {
		struct tcp_status status;
		int state;
	} cases[] = {
		{{.in_cwr = true}, TCP_CA_CWR},
		{{.in_cwr = true, .sacked_bytes = 1}, TCP_CA_CWR},
		{{.sacked_bytes = 1}, TCP_CA_Disorder},
		{{.in_recovery = true}, TCP_CA_Recovery},
		{{.rto_recovery = true}, TCP_CA_Loss},
		{{.sacked_bytes = 0}, TCP_CA_Open},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tcpinfo full;
		struct tcp_info info;

		tcpinfo_fill(&full, &cases[i].status);
		memcpy(&info, &full, sizeof(full.head));
		CU_ASSERT(info.tcpi_ca_state == cases[i].state);
	}
}

static void test_listener_counts_connections(void)
{
	struct tcp_status status = {.state = TCPS_LISTEN, .unacked_bytes = 3, .notsent_bytes = 9};
	struct tcpinfo full;
	struct tcp_info info;

	tcpinfo_fill(&full, &status);
	memcpy(&info, &full, sizeof(full.head));
	CU_ASSERT(info.tcpi_state == TCP_LISTEN && info.tcpi_unacked == 3);
	CU_ASSERT(info.tcpi_snd_cwnd == 0 && full.notsent_bytes == 0);
}

UNIT_MAIN("tcpinfo", UNIT(fills), UNIT(congestion_states), UNIT(listener_counts_connections))
