/*
 * A stack's configuration; see config.h.  Called on the thread that opens a stack, before anything
 * exists.  Every refusal says which member is wrong.
 */
#include "api/src/config.h"

#include "api/src/clock.h"
#include "net/ip/icmp_policy.h"
#include "net/ip/pmtu.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int config_fail(const struct config_why *why, int rc, const char *format, ...)
{
	va_list args;

	if (why->text && why->size > 0) {
		va_start(args, format);
		(void)vsnprintf(why->text, why->size, format, args);
		va_end(args);
	}
	return rc;
}

enum { FUTEX_SLOTS_MAX = 1 << 20 };

/* "24" up to 'max'; nothing else. */
static bool parse_prefix(const char *text, unsigned max, unsigned *prefix)
{
	unsigned value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > max)
			return false;
	}
	*prefix = value;
	return true;
}

/* Whether 'a' may be a host's own address. */
static bool is_host_addr(const struct addr *a)
{
	return !addr_is_any(a) && !addr_is_multicast(a) && !addr_is_broadcast(a) &&
	       !addr_is_loopback(a);
}

/* An IPv4 network's own address, or its broadcast address; /31 and /32 have none (RFC 3021). */
static bool is_net_itself(const struct stack_addr *a)
{
	if (!addr_is_v4(&a->addr) || a->prefix >= 127)
		return false;
	uint32_t mask = UINT32_MAX >> (a->prefix - 96);
	uint32_t host = ((uint32_t)a->addr.b[12] << 24 | (uint32_t)a->addr.b[13] << 16 |
			 (uint32_t)a->addr.b[14] << 8 | a->addr.b[15]) &
			mask;

	return host == 0 || host == mask;
}

/* "A/PLEN" of the family. */
static bool parse_addr(const char *text, bool is_v6, struct stack_addr *out)
{
	const char *slash = strchr(text, '/');
	char host[ADDR_TEXT_SIZE];
	size_t length = slash ? (size_t)(slash - text) : 0;
	unsigned prefix;

	if (!slash || length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	if (!addr_parse(host, &out->addr) || addr_is_v4(&out->addr) == is_v6 ||
	    !parse_prefix(slash + 1, is_v6 ? 128 : 32, &prefix))
		return false;
	out->prefix = is_v6 ? prefix : prefix + 96;
	return is_host_addr(&out->addr);
}

static int read_family(const char *addr, const char *peer, bool is_v6, struct stack_config *out,
		       const struct config_why *why)
{
	const char *suffix = is_v6 ? "6" : "";
	struct stack_addr *own = &out->addrs[out->addr_count];
	struct addr peer_addr;

	if (!addr && peer)
		return config_fail(why, -EINVAL, "peer%s without addr%s", suffix, suffix);
	if (!addr)
		return 0;
	if (!parse_addr(addr, is_v6, own))
		return config_fail(why, -EINVAL, "addr%s is not a host's ADDRESS/PREFIX: %s",
				   suffix, addr);
	if (is_net_itself(own))
		return config_fail(why, -EINVAL,
				   "addr is the network's own or broadcast address: %s", addr);
	out->addr_count++;
	if (!peer)
		return 0;
	if (!addr_parse(peer, &peer_addr) || addr_is_v4(&peer_addr) == is_v6 ||
	    !is_host_addr(&peer_addr))
		return config_fail(why, -EINVAL, "peer%s is not a host's address: %s", suffix,
				   peer);
	if (addr_equal(&peer_addr, &own->addr))
		return config_fail(why, -EINVAL, "peer%s equals addr%s", suffix, suffix);
	return 0;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value ? value : fallback;
}

static int read_limits(const struct weft_config *config, struct stack_config *out,
		       const struct config_why *why)
{
	out->conns_max = or_default(config->conns_max, 1048576);
	out->syn_backlog_max = or_default(config->syn_backlog_max, 4096);
	out->syn_cookies = config->syn_cookies;
	if ((unsigned)out->syn_cookies > WEFT_SYN_COOKIES_ALWAYS)
		return config_fail(why, -EINVAL, "syn_cookies is not one of enum weft_syn_cookies");
	out->time_wait_max = or_default(config->time_wait_max, 262144);
	out->futex_slots = or_default(config->futex_slots, 4096);
	if (out->futex_slots > FUTEX_SLOTS_MAX)
		return config_fail(why, -EINVAL, "futex_slots is above %d", FUTEX_SLOTS_MAX);
	out->orphans_max = or_default(config->orphans_max, 65536);
	out->no_time_wait_reuse = config->no_time_wait_reuse;
	out->no_soft_errors = config->no_soft_errors;
	out->reply_queue_max = or_default(config->reply_queue_max, 1024);
	out->buf_bytes_max = config->buf_bytes_max ? config->buf_bytes_max : (uint64_t)4 << 30;
	out->buf_max = or_default(config->buf_max, 16 << 20);
	if (out->buf_max < CONFIG_BUF_MIN || out->buf_max > CONFIG_BUF_MAX)
		return config_fail(why, -EINVAL, "buf_max is not in %d..%d", CONFIG_BUF_MIN,
				   CONFIG_BUF_MAX);
	/* The defaults give way to a small buf_max; values that were asked for do not. */
	uint32_t rcv = out->buf_max < 1 << 20 ? out->buf_max : 1 << 20;
	uint32_t snd = out->buf_max < 4 << 20 ? out->buf_max : 4 << 20;
	out->rcvbuf = or_default(config->rcvbuf, rcv);
	out->sndbuf = or_default(config->sndbuf, snd);
	if (out->rcvbuf < CONFIG_BUF_MIN || out->rcvbuf > out->buf_max)
		return config_fail(why, -EINVAL, "rcvbuf is not in %d..buf_max", CONFIG_BUF_MIN);
	if (out->sndbuf < CONFIG_BUF_MIN || out->sndbuf > out->buf_max)
		return config_fail(why, -EINVAL, "sndbuf is not in %d..buf_max", CONFIG_BUF_MIN);
	int cc = tcp_cc_find(config->congestion ? config->congestion : "cubic",
			     config->congestion ? strlen(config->congestion) : 5);
	if (cc < 0)
		return config_fail(why, -EINVAL, "congestion has no controller %s",
				   config->congestion);
	out->cc = (unsigned)cc;
	out->icmp_rate = or_default(config->icmp_rate, ICMP_RATE_PER_S);
	if (out->icmp_rate > ICMP_RATE_MAX)
		return config_fail(why, -EINVAL, "icmp_rate is above %d", ICMP_RATE_MAX);
	if (config->no_icmp_errors)
		out->icmp_rate = 0;
	out->pmtu_age_s = or_default(config->pmtu_age_s, PMTU_AGE_S);
	if (out->pmtu_age_s < PMTU_AGE_MIN_S)
		return config_fail(why, -EINVAL, "pmtu_age_s is below %d", PMTU_AGE_MIN_S);
	out->port_min = (uint16_t)or_default(config->port_min, 32768);
	out->port_max = (uint16_t)or_default(config->port_max, 60999);
	if (out->port_min > out->port_max)
		return config_fail(why, -EINVAL, "port_min %u is above port_max %u", out->port_min,
				   out->port_max);
	return 0;
}

/* Between two timeouts what is in flight gets older by one, and is to stay younger than 2^31 us. */
static_assert(CONFIG_RTO_MAX_MS * (int64_t)US_PER_MS + SB_AGE_MAX < INT32_MAX,
	      "ages are told apart");

/* The TCP times: member of struct weft_config, where it goes, default, most. */
struct time_entry {
	const char *name;
	uint32_t value_ms;
	weft_time_us *out;
	uint32_t fallback_ms;
	uint32_t most_ms;
};

static int read_times(const struct weft_config *config, struct tcp_cfg *tcp,
		      const struct config_why *why)
{
	enum { DAY = CONFIG_TIME_MAX_MS, RTO = CONFIG_RTO_MAX_MS };

	const struct time_entry times[] = {
		{"rto_min_ms", config->rto_min_ms, &tcp->rto_min, 200, RTO},
		{"rto_max_ms", config->rto_max_ms, &tcp->rto_max, 120000, RTO},
		{"rto_initial_ms", config->rto_initial_ms, &tcp->rto_initial, 1000, RTO},
		{"syn_timeout_ms", config->syn_timeout_ms, &tcp->syn_timeout, 180000, DAY},
		{"synack_timeout_ms", config->synack_timeout_ms, &tcp->synack_timeout, 63000, DAY},
		{"user_timeout_ms", config->user_timeout_ms, &tcp->user_timeout, 924600, DAY},
		{"time_wait_ms", config->time_wait_ms, &tcp->time_wait, 60000, DAY},
		{"fin_wait2_ms", config->fin_wait2_ms, &tcp->fin_wait2, 60000, DAY},
		{"orphan_ms", config->orphan_ms, &tcp->orphan, 120000, DAY},
		{"delack_ms", config->delack_ms, &tcp->delack, 40, DAY},
		{"challenge_interval_ms", config->challenge_interval_ms, &tcp->challenge_interval,
		 5000, DAY},
	};

	tcp_cfg_default(tcp);
	tcp->time_wait_rst = config->time_wait_rst;
	tcp->challenge_max = or_default(config->challenge_acks_max, tcp->challenge_max);
	if (tcp->challenge_max > UINT8_MAX)
		return config_fail(why, -EINVAL, "challenge_acks_max is above %d", UINT8_MAX);
	if ((unsigned)config->ecn > WEFT_ECN_ACCURATE_PASSIVE)
		return config_fail(why, -EINVAL, "ecn is not one of enum weft_ecn");
	tcp->ecn = (enum tcp_ecn)config->ecn;
	static const uint8_t probing[] = {
		[WEFT_MTU_PROBING_BLACK_HOLE] = 1,
		[WEFT_MTU_PROBING_OFF] = 0,
		[WEFT_MTU_PROBING_ALWAYS] = 2,
	};
	if ((unsigned)config->mtu_probing >= ARRAY_SIZE(probing))
		return config_fail(why, -EINVAL, "mtu_probing is not one of enum weft_mtu_probing");
	tcp->mtu_probing = probing[config->mtu_probing];
	if (config->fastopen & ~(uint32_t)(WEFT_FASTOPEN_CLIENT | WEFT_FASTOPEN_SERVER))
		return config_fail(why, -EINVAL,
				   "fastopen has bits that are not of enum weft_fastopen");
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		const struct time_entry *t = &times[i];
		if (t->value_ms > t->most_ms)
			return config_fail(why, -EINVAL, "%s is above %u", t->name, t->most_ms);
		*t->out = (weft_time_us)or_default(t->value_ms, t->fallback_ms) * US_PER_MS;
	}
	if (tcp->rto_min > tcp->rto_max)
		return config_fail(why, -EINVAL, "rto_min_ms is above rto_max_ms");
	/* An initial timeout that was not asked for gives way to the range that was. */
	if (!config->rto_initial_ms)
		tcp->rto_initial = time_min(time_max(tcp->rto_initial, tcp->rto_min), tcp->rto_max);
	if (tcp->rto_initial > tcp->rto_max)
		return config_fail(why, -EINVAL, "rto_initial_ms is above rto_max_ms");
	if (tcp->delack > 500 * US_PER_MS)
		return config_fail(why, -EINVAL, "delack_ms is above 500 (RFC 9293 MUST-40)");
	return 0;
}

/* How many queues the stack's device will have is all right with the rest. */
static int check_queues(const struct weft_config *config, const struct config_why *why)
{
	const struct weft_dev *dev = config->dev;
	uint32_t count = dev ? dev->queue_count : config->queues;

	if (count > WEFT_DEV_QUEUES_MAX)
		return config_fail(why, -EINVAL, "%s is above %d",
				   dev ? "dev's queue_count" : "queues", WEFT_DEV_QUEUES_MAX);
	if (config->queues > 1 && dev && config->queues != count)
		return config_fail(why, -EINVAL, "queues is not dev's number");
	if (count <= 1)
		return 0;
	if (dev && !dev->queue)
		return config_fail(why, -EINVAL, "dev lacks the function queue");
	if (config->tun_fd > 0)
		return config_fail(why, -EINVAL, "several queues with tun_fd");
	if (config->capture)
		return config_fail(why, -EINVAL, "several queues with capture");
	if (config->faults)
		return config_fail(why, -EINVAL, "several queues with faults");
	return 0;
}

static int check_device(const struct weft_config *config, const struct config_why *why)
{
	const struct weft_dev *dev = config->dev;

	if (dev && config->tun_fd > 0)
		return config_fail(why, -EINVAL, "both dev and tun_fd are given");
	if (config->tun_name && (dev || config->tun_fd > 0))
		return config_fail(why, -EINVAL, "tun_name with %s", dev ? "dev" : "tun_fd");
	if (config->mtu && (config->mtu < CONFIG_MTU_MIN || config->mtu > CONFIG_MTU_MAX))
		return config_fail(why, -EINVAL, "mtu is not in %d..%d", CONFIG_MTU_MIN,
				   CONFIG_MTU_MAX);
	if (!dev)
		return 0;
	if (!dev->read || !dev->write || !dev->wake || !dev->close)
		return config_fail(why, -EINVAL, "dev lacks a function");
	if (dev->mtu < CONFIG_MTU_MIN || dev->mtu > CONFIG_MTU_MAX)
		return config_fail(why, -EINVAL, "dev's mtu is not in %d..%d", CONFIG_MTU_MIN,
				   CONFIG_MTU_MAX);
	if (config->faults && (dev->flags & WEFT_DEV_RX_GSO))
		return config_fail(why, -EINVAL, "faults with a dev that has WEFT_DEV_RX_GSO");
	if (config->mtu > dev->mtu)
		return config_fail(why, -EINVAL, "mtu is above dev's %u", dev->mtu);
	return 0;
}

int config_read(const struct weft_config *config, struct stack_config *out,
		const struct config_why *why)
{
	const struct weft_clock *clock = config->clock ? config->clock : &clock_default;

	*out = (struct stack_config){
		.clock = *clock,
		.seed = config->seed,
		.fastopen = config->fastopen,
		.plain_threads = config->plain_threads,
		.lead = !config->plain_threads && !config->plain_rx && clock == &clock_default,
	};
	if (config->clock && (!clock->now || !clock->wait))
		return config_fail(why, -EINVAL, "clock lacks a function");
	int rc = check_device(config, why);
	if (rc == 0)
		rc = check_queues(config, why);
	if (rc == 0)
		rc = read_family(config->addr, config->peer, false, out, why);
	if (rc == 0)
		rc = read_family(config->addr6, config->peer6, true, out, why);
	if (rc == 0 && out->addr_count == 0)
		rc = config_fail(why, -EINVAL, "neither addr nor addr6 is given");
	if (rc == 0)
		rc = read_limits(config, out, why);
	if (rc == 0)
		rc = read_times(config, &out->tcp, why);
	return rc;
}
