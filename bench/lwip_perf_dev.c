/*
 * lwip_perf_dev.c - lwIP's network interface on weft's TUN device.
 *
 * Threads: lwIP's own one has timers; a thread here reads packets and feeds them to lwIP under its
 * core lock, which spares lwIP the hand-over to its thread.  lwIP writes from any thread, always
 * under the core lock, so the device sees one writer at a time.
 */
#include "lwip_perf.h"

#include <lwip/api.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/priv/sockets_priv.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcpip.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <weft/dev.h>
#include <weft/weft.h>

enum { BATCH = 32, IOV_MAX_PIECES = 16, MTU_DEFAULT = 1500, ADDR_SIZE = 64 };

static struct netif interface;

/* lwIP's function to send an IP packet; the core lock is held. */
static err_t write_packet(struct netif *netif, struct pbuf *packet, const ip4_addr_t *addr)
{
	struct weft_dev *dev = netif->state;
	struct iovec iov[IOV_MAX_PIECES];
	struct weft_pkt pkt = {.iov = iov, .len = packet->tot_len};

	(void)addr;
	for (struct pbuf *piece = packet; piece; piece = piece->next) {
		if (pkt.iov_count == IOV_MAX_PIECES)
			return ERR_BUF;
		iov[pkt.iov_count++] =
			(struct iovec){.iov_base = piece->payload, .iov_len = piece->len};
	}
	return dev->write(dev, &pkt, 1) == 1 ? ERR_OK : ERR_MEM;
}

static err_t init_interface(struct netif *netif)
{
	const struct weft_dev *dev = netif->state;

	netif->name[0] = 't';
	netif->name[1] = 'n';
	netif->mtu = (u16_t)dev->mtu;
	netif->output = write_packet;
	netif->flags = NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

/* Buffers to read into: what lwIP took the time before is made anew.  How many there are. */
static int prepare(struct pbuf *bufs[BATCH], struct weft_pkt *pkts, struct iovec *iov, u16_t mtu)
{
	for (int i = 0; i < BATCH; i++) {
		if (!bufs[i])
			bufs[i] = pbuf_alloc(PBUF_RAW, mtu, PBUF_RAM);
		if (!bufs[i])
			return i;
		iov[i] = (struct iovec){.iov_base = bufs[i]->payload, .iov_len = mtu};
		pkts[i] = (struct weft_pkt){.iov = &iov[i], .iov_count = 1};
	}
	return BATCH;
}

static void *run_read(void *arg)
{
	struct weft_dev *dev = arg;
	struct pbuf *bufs[BATCH] = {NULL};
	struct iovec iov[BATCH];
	struct weft_pkt pkts[BATCH];

	for (;;) {
		int room = prepare(bufs, pkts, iov, (u16_t)dev->mtu);
		int count = room > 0 ? dev->read(dev, pkts, room, -1) : 0;

		if (count < 0)
			return NULL;
		LOCK_TCPIP_CORE();
		for (int i = 0; i < count; i++) {
			pbuf_realloc(bufs[i], (u16_t)pkts[i].len);
			if (ip_input(bufs[i], &interface) != ERR_OK)
				(void)pbuf_free(bufs[i]);
			bufs[i] = NULL;
		}
		UNLOCK_TCPIP_CORE();
	}
}

static void signal_started(void *arg)
{
	sys_sem_signal(arg);
}

static struct weft_dev *open_tun(const struct weft_config *config, char *why, size_t why_size)
{
	const struct weft_tun_config tun = {
		.name = config->tun_name,
		.fd = -1,
		.mtu = config->mtu ? config->mtu : MTU_DEFAULT,
		.no_offload = 1,
		.peer4 = config->peer,
		.addr4 = config->addr,
	};

	return weft_dev_tun(&tun, why, why_size);
}

/* Parses "A/PLEN" or "A" into address and net mask. */
static int parse_addr(const char *text, ip4_addr_t *addr, ip4_addr_t *mask)
{
	char host[ADDR_SIZE];
	unsigned bits = 32;
	const char *slash = strchr(text, '/');

	(void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(text, "/"), text);
	if (slash && (sscanf(slash + 1, "%u", &bits) != 1 || bits > 32))
		return -1;
	mask->addr = lwip_htonl(bits == 0 ? 0 : UINT32_MAX << (32 - bits));
	return ip4addr_aton(host, addr) ? 0 : -1;
}

int lwip_perf_open(const struct weft_config *config, char *why, size_t why_size)
{
	ip4_addr_t addr, mask, gateway;
	struct weft_dev *dev;
	sys_sem_t started;
	pthread_t thread;
	bool is_added;

	if (parse_addr(config->addr, &addr, &mask) < 0 || !ip4addr_aton(config->peer, &gateway)) {
		(void)snprintf(why, why_size, "malformed --addr or --peer");
		return -1;
	}
	dev = open_tun(config, why, why_size);
	if (!dev)
		return -1;
	(void)sys_sem_new(&started, 0);
	tcpip_init(signal_started, &started);
	(void)sys_arch_sem_wait(&started, 0);
	LOCK_TCPIP_CORE();
	is_added = netif_add(&interface, &addr, &mask, &gateway, dev, init_interface, ip_input);
	if (is_added) {
		netif_set_default(&interface);
		netif_set_up(&interface);
	}
	UNLOCK_TCPIP_CORE();
	if (!is_added || pthread_create(&thread, NULL, run_read, dev) != 0) {
		(void)snprintf(why, why_size, "lwIP does not take the interface");
		return -1;
	}
	(void)pthread_detach(thread);
	return 0;
}

void lwip_perf_abort(int fd)
{
	struct lwip_sock *sock = lwip_socket_dbg_get_socket(fd);

	LOCK_TCPIP_CORE();
	/* A listener's pcb is another struct; its accept looks at the stop by itself. */
	if (sock && sock->conn && sock->conn->pcb.tcp && sock->conn->pcb.tcp->state != LISTEN)
		tcp_abort(sock->conn->pcb.tcp);
	UNLOCK_TCPIP_CORE();
}
