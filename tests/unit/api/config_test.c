/*
 * Checks and defaults of struct weft_config: every member at fault gives EINVAL and is named.
 */
#include "api/src/config.h"
#include "unit.h"
#include <errno.h>
#include <string.h>

static int fake_read(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout_us)
{
	(void)dev;
	(void)pkts;
	(void)count;
	(void)timeout_us;
	return 0;
}

static int fake_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	(void)dev;
	(void)pkts;
	return count;
}

static void fake_end(struct weft_dev *dev)
{
	(void)dev;
}

static struct weft_dev fake = {
	.mtu = 1500, .read = fake_read, .write = fake_write, .wake = fake_end, .close = fake_end};

static struct weft_config good(void)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.dev = &fake;
	config.addr = "192.0.2.1/24";
	return config;
}

/* Whether the config is refused with a reason that contains 'word'. */
static void refused(const struct weft_config *config, const char *word)
{
	struct stack_config out;
	char text[120] = "";
	struct config_why why = {text, sizeof(text)};

	CU_ASSERT(config_read(config, &out, &why) == -EINVAL);
	if (!strstr(text, word))
		printf("'%s' lacks '%s'\n", text, word);
	CU_ASSERT(strstr(text, word) != NULL && !strchr(text, '\n'));
}

static void test_defaults(void)
{
	struct weft_config config = good();
	struct config_why why = {NULL, 0};
	struct stack_config out;

	CU_ASSERT_FATAL(config_read(&config, &out, &why) == 0);
	CU_ASSERT(out.addr_count == 1 && out.addrs[0].prefix == 120);
	CU_ASSERT(out.conns_max == 1048576 && out.syn_backlog_max == 4096);
	CU_ASSERT(out.time_wait_max == 262144 && out.reply_queue_max == 1024);
	CU_ASSERT(out.tcp.ecn == TCP_ECN_PASSIVE && out.tcp.mtu_probing == 1);
	CU_ASSERT(out.tcp.challenge_max == 10 && out.tcp.challenge_interval == 5000000);
	CU_ASSERT(out.orphans_max == 65536 && !out.no_time_wait_reuse && !out.tcp.time_wait_rst);
	CU_ASSERT(out.syn_cookies == WEFT_SYN_COOKIES_AUTO);
	CU_ASSERT(out.icmp_rate == 1000 && out.pmtu_age_s == 600);
	CU_ASSERT(out.buf_bytes_max == 4294967296u && out.buf_max == 16777216);
	CU_ASSERT(out.rcvbuf == 1048576 && out.sndbuf == 4194304);
	CU_ASSERT(out.port_min == 32768 && out.port_max == 60999);
	CU_ASSERT(out.tcp.rto_min == 200000 && out.tcp.rto_max == 120000000);
	CU_ASSERT(out.tcp.syn_timeout == 180000000 && out.tcp.time_wait == 60000000);
	CU_ASSERT(out.tcp.delack == 40000 && out.tcp.user_timeout == 924600000);
	CU_ASSERT(out.clock.now && !out.clock.wait);
	CU_ASSERT(tcp_cc_get(out.cc) == &tcp_cc_cubic);
}

static void test_congestion(void)
{
	struct weft_config config = good();
	struct config_why why = {NULL, 0};
	struct stack_config out;

	config.congestion = "reno";
	CU_ASSERT(config_read(&config, &out, &why) == 0);
	CU_ASSERT(tcp_cc_get(out.cc) == &tcp_cc_newreno);
	config.congestion = "vegas";
	refused(&config, "congestion");
	config.congestion = "";
	refused(&config, "congestion");
}

static void test_addresses(void)
{
	static const char *const bad[] = {"",
					  "192.0.2.1",
					  "192.0.2.1/",
					  "192.0.2.1/33",
					  "192.0.2.1/-1",
					  "192.0.2.1/24x",
					  "0.0.0.0/8",
					  "224.0.0.1/24",
					  "255.255.255.255/32",
					  "127.0.0.1/8",
					  "2001:db8::1/64",
					  "192.0.2/24",
					  "x192.0.2.1/24",
					  "192.0.2.1/99999999999",
					  "192.0.2.0/24",
					  "192.0.2.255/24",
					  "192.0.2.3/30"};
	static const char *const bad6[] = {"2001:db8::1", "2001:db8::1/129", "::/64",
					   "ff02::1/64",  "::1/128",         "192.0.2.1/24",
					   "fe80:::1/64"};
	struct weft_config config = good();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		config.addr = bad[i];
		refused(&config, "addr ");
	}
	config = good();
	for (size_t i = 0; i < ARRAY_SIZE(bad6); i++) {
		config.addr6 = bad6[i];
		refused(&config, "addr6 ");
	}
	config = good();
	config.addr = NULL;
	refused(&config, "neither");
	config.peer = "192.0.2.2";
	refused(&config, "peer without addr");
	config = good();
	config.peer = "192.0.2.2/24";
	refused(&config, "peer ");
	config.peer = "192.0.2.1";
	refused(&config, "equals");
	config = good();
	config.peer6 = "2001:db8::2";
	refused(&config, "peer6 without addr6");
}

static void test_device(void)
{
	struct weft_config config = good();
	struct weft_dev dev = fake;

	config.tun_fd = 5;
	refused(&config, "tun_fd");
	config = good();
	config.tun_name = "x0";
	refused(&config, "tun_name");
	config = good();
	config.mtu = 1279;
	refused(&config, "mtu");
	config.mtu = 65536;
	refused(&config, "mtu");
	config.mtu = 1501;
	refused(&config, "mtu");
	config = good();
	config.dev = &dev;
	dev.read = NULL;
	refused(&config, "lacks");
	dev = fake;
	dev.mtu = 1000;
	refused(&config, "mtu");
	dev = fake;
	dev.flags = WEFT_DEV_RX_GSO;
	config.faults = &(const struct weft_fault){.seed = 1};
	refused(&config, "faults");
}

static struct weft_dev *fake_queue(struct weft_dev *dev, uint32_t index)
{
	(void)index;
	return dev;
}

static void test_queues(void)
{
	struct weft_config config = good();
	struct config_why why = {NULL, 0};
	struct weft_dev dev = fake;
	struct stack_config out;

	config.queues = 2;
	refused(&config, "queues");
	config.dev = NULL;
	CU_ASSERT(config_read(&config, &out, &why) == 0);
	config.capture = "file";
	refused(&config, "capture");
	config.capture = NULL;
	config.faults = &(const struct weft_fault){.seed = 1};
	refused(&config, "faults");
	config.faults = NULL;
	config.tun_fd = 3;
	refused(&config, "tun_fd");
	config.tun_fd = -1;
	config.queues = 17;
	refused(&config, "queues");
	config = good();
	config.dev = &dev;
	dev.queue_count = 2;
	refused(&config, "lacks");
	dev.queue = fake_queue;
	CU_ASSERT(config_read(&config, &out, &why) == 0);
	config.queues = 2;
	CU_ASSERT(config_read(&config, &out, &why) == 0);
	config.capture = "file";
	refused(&config, "capture");
	dev.queue_count = 17;
	refused(&config, "queue_count");
}

static void test_limits(void)
{
	struct weft_config config = good();
	struct config_why why = {NULL, 0};
	struct weft_clock clock = {0};
	struct stack_config out;

	config.buf_max = 4607;
	refused(&config, "buf_max");
	config.buf_max = 1073741825;
	refused(&config, "buf_max");
	config = good();
	config.rcvbuf = 16777217;
	refused(&config, "rcvbuf");
	config = good();
	config.sndbuf = 100;
	refused(&config, "sndbuf");
	config = good();
	config.port_min = 61000;
	refused(&config, "port_min");
	config = good();
	config.rto_min_ms = 5000;
	config.rto_max_ms = 4000;
	refused(&config, "rto_min_ms");
	config = good();
	config.rto_initial_ms = 5000;
	config.rto_max_ms = 4000;
	refused(&config, "rto_initial_ms");
	config = good();
	config.delack_ms = 501;
	refused(&config, "delack_ms");
	config = good();
	config.time_wait_ms = 86400001;
	refused(&config, "time_wait_ms");
	config = good();
	config.rto_max_ms = 1200001;
	refused(&config, "rto_max_ms");
	config.rto_max_ms = config.rto_initial_ms = 1200000;
	config.rto_min_ms = 1200001;
	refused(&config, "rto_min_ms");
	config.rto_min_ms = 1200000; /* at the limit */
	CU_ASSERT_EQUAL(config_read(&config, &out, &why), 0);
	config.rto_initial_ms = 1200001;
	refused(&config, "rto_initial_ms");
	config = good();
	config.futex_slots = 1048577;
	refused(&config, "futex_slots");
	config = good();
	config.ecn = (enum weft_ecn)5;
	refused(&config, "ecn");
	config = good();
	config.mtu_probing = (enum weft_mtu_probing)3;
	refused(&config, "mtu_probing");
	config = good();
	config.icmp_rate = 100001;
	refused(&config, "icmp_rate");
	config = good();
	config.pmtu_age_s = 119;
	refused(&config, "pmtu_age_s");
	config = good();
	config.challenge_acks_max = 256;
	refused(&config, "challenge_acks_max");
	config = good();
	config.syn_cookies = (enum weft_syn_cookies)3;
	refused(&config, "syn_cookies");
	config = good();
	config.clock = &clock;
	refused(&config, "clock");
}

UNIT_MAIN("config", UNIT(defaults), UNIT(congestion), UNIT(addresses), UNIT(device), UNIT(queues),
	  UNIT(limits))
