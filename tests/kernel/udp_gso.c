/*
 * UDP segmentation offload between weft and the kernel, over both versions of IP: messages with
 * UDP_SEGMENT each way, to receivers with UDP_GRO and without.  Every byte is compared, and the
 * device's packets are counted: with offload a message is one.  See udp_gso.sh.
 *
 *	udp_gso TUN on|off [SECONDS]
 *
 * With SECONDS it measures: messages as fast as they go, and what the receiver gets of them.
 */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
	SEGMENT = 1300,
	COUNT = 40,
	LAST = 500,
	SIZE = (COUNT - 1) * SEGMENT + LAST,
	ROUNDS = 20,
	PORT = 5000,
	BUFFER = 8 << 20,
};

static char bytes[SIZE];

static socklen_t address(bool is_v6, bool is_weft, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (is_v6) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(PORT);
		(void)inet_pton(AF_INET6, is_weft ? "fd77::2" : "fd77::1", &v6->sin6_addr);
		return sizeof(*v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons(PORT);
	(void)inet_pton(AF_INET, is_weft ? "10.77.0.2" : "10.77.0.1", &v4->sin_addr);
	return sizeof(*v4);
}

/* ---- Either side's calls. ---- */

struct side {
	int (*set)(int fd, int level, int option, const void *value, socklen_t len);
	ssize_t (*send)(int fd, const void *data, size_t size, int flags);
	ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags);
	int (*close)(int fd);
};

static const struct side kernel_side = {setsockopt, send, recvmsg, close};
static const struct side weft_side = {weft_setsockopt, weft_send, weft_recvmsg, weft_close};

struct pair {
	const struct side *from, *to;
	int out, in;
};

static void set_int(const struct side *side, int fd, int level, int option, int value)
{
	must(side->set(fd, level, option, &value, sizeof(value)), "setsockopt");
}

static struct pair open_pair(bool to_weft, bool is_v6)
{
	struct sockaddr_storage in, out;
	socklen_t len = address(is_v6, to_weft, &in);
	const struct timeval limit = {.tv_sec = 2};
	struct pair p = {.from = to_weft ? &kernel_side : &weft_side,
			 .to = to_weft ? &weft_side : &kernel_side};

	(void)address(is_v6, !to_weft, &out);
	int k = socket(in.ss_family, SOCK_DGRAM, 0);
	int w = weft_socket(stack, in.ss_family, SOCK_DGRAM, 0);

	must(k, "socket");
	must(w, "weft_socket");
	must(bind(k, (struct sockaddr *)(to_weft ? &out : &in), len), "bind");
	must(weft_bind(w, (struct sockaddr *)(to_weft ? &in : &out), len), "weft_bind");
	must(connect(k, (struct sockaddr *)(to_weft ? &in : &out), len), "connect");
	must(weft_connect(w, (struct sockaddr *)(to_weft ? &out : &in), len), "weft_connect");
	p.out = to_weft ? k : w;
	p.in = to_weft ? w : k;
	must(p.to->set(p.in, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), "SO_RCVTIMEO");
	if (p.to->set(p.in, SOL_SOCKET, SO_RCVBUFFORCE, &(int){BUFFER}, sizeof(int)) != 0)
		set_int(p.to, p.in, SOL_SOCKET, SO_RCVBUF, BUFFER);
	return p;
}

static void close_pair(struct pair *p)
{
	must(p->from->close(p->out), "close");
	must(p->to->close(p->in), "close");
}

/* One message; what UDP_GRO says of it, or 0. */
static ssize_t receive(const struct pair *p, char *to, size_t room, int *gso_size)
{
	_Alignas(struct cmsghdr) char control[64];
	struct iovec iov = {to, room};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t size = p->to->recvmsg(p->in, &msg, 0);

	*gso_size = 0;
	if (size < 0)
		return size;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			memcpy(gso_size, CMSG_DATA(c), sizeof(*gso_size));
	return size;
}

/* ---- Correctness. ---- */

static void exchange(bool to_weft, bool is_v6, bool gro, bool has_offload)
{
	static char got[70000];
	struct pair p = open_pair(to_weft, is_v6);
	const char *packets = to_weft ? "PKT_IN" : "PKT_OUT";
	unsigned messages = 0;
	int gso_size;

	set_int(p.from, p.out, IPPROTO_UDP, UDP_SEGMENT, SEGMENT);
	if (gro)
		set_int(p.to, p.in, IPPROTO_UDP, UDP_GRO, 1);
	unsigned long long before = weft_count(packets);

	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t at = 0;

		must(p.from->send(p.out, bytes, SIZE, 0), "send");
		while (at < SIZE) {
			ssize_t size = receive(&p, got, sizeof(got), &gso_size);

			must(size, "recvmsg");
			if (at + (size_t)size > SIZE ||
			    memcmp(got, bytes + at, (size_t)size) != 0) {
				printf("%zd bytes at %zu are not what was sent\n", size, at);
				exit(1);
			}
			if (size > SEGMENT)
				equal("UDP_GRO's size", (unsigned)gso_size, SEGMENT);
			at += (size_t)size;
			messages++;
		}
	}
	/* The kernel's neighbour discovery may add some. */
	unsigned long long used = weft_count(packets) - before;

	if (has_offload && used > ROUNDS + 8)
		equal("the device's packets", used, ROUNDS);
	if (!has_offload)
		equal("the cut packets", used >= ROUNDS * COUNT, 1);
	if (!gro || (to_weft && !has_offload))
		equal("messages received", messages, ROUNDS * COUNT);
	else if (has_offload)
		equal("messages received with UDP_GRO", messages, ROUNDS);
	close_pair(&p);
}

/* ---- Speed. ---- */

struct flood {
	struct pair pair;
	atomic_bool stop;
	bool segments;
};

static void *flood_main(void *arg)
{
	struct flood *f = arg;

	while (!f->stop)
		(void)f->pair.from->send(f->pair.out, bytes, f->segments ? SIZE : SEGMENT, 0);
	return NULL;
}

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void measure(bool to_weft, bool segments, double seconds)
{
	static char got[70000];
	struct flood f = {.pair = open_pair(to_weft, false), .segments = segments};
	unsigned long long total = 0;
	pthread_t thread;
	int gso_size;

	if (segments) {
		set_int(f.pair.from, f.pair.out, IPPROTO_UDP, UDP_SEGMENT, SEGMENT);
		set_int(f.pair.to, f.pair.in, IPPROTO_UDP, UDP_GRO, 1);
	}
	must(-pthread_create(&thread, NULL, flood_main, &f), "pthread_create");
	double begin = now(), end = begin;

	while (end - begin < seconds) {
		ssize_t size = receive(&f.pair, got, sizeof(got), &gso_size);

		total += size > 0 ? (unsigned long long)size : 0;
		end = now();
	}
	f.stop = true;
	(void)pthread_join(thread, NULL);
	printf("%s %s: %.2f Gbit/s received\n", to_weft ? "to weft" : "from weft",
	       segments ? "in messages of 40 datagrams" : "a datagram a message",
	       (double)total * 8 / (end - begin) / 1e9);
	close_pair(&f.pair);
}

int main(int argc, char **argv)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	bool has_offload = argc > 2 && strcmp(argv[2], "on") == 0;
	char why[200] = "";

	if (argc < 3)
		return 2;
	(void)alarm(60);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 7 + i / SEGMENT);
	config.tun_name = argv[1];
	config.addr = "10.77.0.2/24";
	config.peer = "10.77.0.1";
	config.addr6 = "fd77::2/64";
	config.peer6 = "fd77::1";
	config.no_offload = !has_offload;
	stack = weft_stack_open(&config, why, sizeof(why));
	if (!stack) {
		printf("no stack: %s\n", why);
		return 1;
	}
	for (unsigned i = 0; i < 8 && argc == 3; i++)
		exchange(i & 1, i & 2, i & 4, has_offload);
	for (unsigned i = 0; i < 8 && argc > 3; i++)
		measure(i & 2, i & 1, strtod(argv[3], NULL));
	weft_stack_close(stack);
	return failures != 0;
}
