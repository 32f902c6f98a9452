/*
 * relay - joins two network namespaces by two TUN interfaces with weft's fault device between them,
 * so that two kernels talk over the same bad link that weft is measured on:
 *
 *	kernel A ---- TUN in namespace A ==== relay ==== TUN in namespace B ---- kernel B
 *
 * No offload: a fault hits a packet as on a wire.  Threads: the main thread waits for SIGINT or
 * SIGTERM; a thread for each side enters its namespace, opens the TUN there, and then carries what
 * it reads to the other side.  Only installed headers of weft are used.
 */
#include "common.h"
#include "opts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <weft/dev.h>

enum {
	BATCH = 32,
	BUF_SIZE = 65536,
	NAME_MAX_SIZE = 64,
	TUN_QUEUE = 5000,   /* packets: more than a window, so that only the faults lose some */
	FULL_WAIT_US = 200, /* the device was full: how long until the packets are lost */
};

enum {
	OPT_NS_A = APP_OPTION_FIRST,
	OPT_NS_B,
	OPT_ADDR_A,
	OPT_ADDR_B,
	OPT_TUN,
	OPT_MTU,
	OPT_LOSS,
	OPT_DELAY,
	OPT_JITTER,
	OPT_RATE,
	OPT_REORDER,
	OPT_DUP,
	OPT_QUEUE,
	OPT_SEED,
	OPT_HELP,
};

static const struct option options[] = {
	{"ns-a", required_argument, NULL, OPT_NS_A},
	{"ns-b", required_argument, NULL, OPT_NS_B},
	{"addr-a", required_argument, NULL, OPT_ADDR_A},
	{"addr-b", required_argument, NULL, OPT_ADDR_B},
	{"tun", required_argument, NULL, OPT_TUN},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"loss-ppm", required_argument, NULL, OPT_LOSS},
	{"delay-us", required_argument, NULL, OPT_DELAY},
	{"jitter-us", required_argument, NULL, OPT_JITTER},
	{"rate-bps", required_argument, NULL, OPT_RATE},
	{"reorder-ppm", required_argument, NULL, OPT_REORDER},
	{"dup-ppm", required_argument, NULL, OPT_DUP},
	{"queue", required_argument, NULL, OPT_QUEUE},
	{"seed", required_argument, NULL, OPT_SEED},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static const char usage[] =
	"Usage: relay --ns-a NAME --ns-b NAME --addr-a A --addr-b A [options]\n"
	"Joins two network namespaces (ip netns) by a TUN interface in each; prints \"ready\", "
	"and\n"
	"when SIGINT or SIGTERM has come a JSON line of what happened to the packets.\n"
	"\n"
	"  --ns-a, --ns-b NAME      the namespaces\n"
	"  --addr-a, --addr-b A     the kernel's IPv4 address in each, without a prefix length\n"
	"  --tun NAME               the interfaces' name in both; default: relay0\n"
	"  --mtu N                  default: 1500\n"
	"Faults, each for both directions; without one packets are only carried:\n"
	"  --loss-ppm, --reorder-ppm, --dup-ppm N   in a million\n"
	"  --delay-us, --jitter-us N                one way\n"
	"  --rate-bps N             bits per second\n"
	"  --queue N                packets that wait for delay and rate; default: 1000\n"
	"  --seed N                 equal seeds, equal faults\n";

static struct app app = {.name = "relay"};

struct side {
	/* Set before the threads start. */
	const char *ns;
	const char *addr;      /* the kernel's here */
	const char *peer_addr; /* the other kernel's */
	const char *tun_name;
	uint32_t mtu;
	const struct weft_fault *fault; /* of what is written here; NULL: none */
	struct side *other;
	pthread_t thread;
	pthread_barrier_t *opened; /* both sides are open, or one has failed */

	/* Set by the thread before 'opened', then immutable. */
	struct weft_dev *dev; /* NULL: failed */

	/* The thread's, read when it has ended. */
	uint64_t carried;   /* packets handed to the other side */
	uint64_t full_lost; /* the other side's interface took no more */
};

static bool is_ending; /* atomic */

/* ---- One side. ---- */

static int enter_namespace(const char *name)
{
	char path[NAME_MAX_SIZE + 32];
	int fd;

	(void)snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
		(void)snprintf(path, sizeof(path), "namespace %s", name);
		app_say_error(&app, path, errno);
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	(void)close(fd);
	return 0;
}

/* The interface's queue in the kernel, 500 packets as it is made, would lose what a burst brings. */
static void lengthen_queue(const char *name)
{
	struct ifreq ifr = {.ifr_qlen = TUN_QUEUE};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCSIFTXQLEN, &ifr) < 0)
		app_say_error(&app, "queue length", errno);
	if (fd >= 0)
		(void)close(fd);
}

/* The TUN with the faults in front of it; NULL after a line on stderr. */
static struct weft_dev *open_dev(const struct side *side)
{
	char route[NAME_MAX_SIZE + 8];
	char why[256] = "";
	const struct weft_tun_config config = {
		.name = side->tun_name,
		.fd = -1,
		.mtu = side->mtu,
		.no_offload = 1,
		.peer4 = side->addr,
		.addr4 = route,
	};
	struct weft_dev *tun;
	struct weft_dev *fault;

	(void)snprintf(route, sizeof(route), "%s/32", side->peer_addr);
	tun = weft_dev_tun(&config, why, sizeof(why));
	if (!tun) {
		app_say(&app, "namespace %s: %s", side->ns, why);
		return NULL;
	}
	lengthen_queue(tun->name);
	if (!side->fault)
		return tun;
	fault = weft_dev_fault(tun, side->fault, NULL);
	if (!fault) {
		app_say_error(&app, "fault device", errno);
		tun->close(tun);
	}
	return fault;
}

/* A full interface gets a little time; what it then does not take is lost, as on any link. */
static void hand_over(struct side *side, const struct weft_pkt *pkts, int count)
{
	struct weft_dev *to = side->other->dev;
	int64_t until = 0;
	int done = 0;

	while (done < count) {
		int rc = to->write(to, pkts + done, count - done);

		if (rc > 0) {
			done += rc;
			continue;
		}
		if (rc < 0 && rc != -EAGAIN)
			break;
		if (until == 0)
			until = now_us() + FULL_WAIT_US;
		else if (now_us() > until)
			break;
		(void)sched_yield();
	}
	side->carried += (uint64_t)done;
	side->full_lost += (uint64_t)(count - done);
}

static void carry(struct side *side, uint8_t *bytes)
{
	struct iovec iov[BATCH];
	struct weft_pkt pkts[BATCH];

	while (!__atomic_load_n(&is_ending, __ATOMIC_ACQUIRE)) {
		int count;

		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){.iov_base = bytes + (size_t)i * BUF_SIZE,
						.iov_len = BUF_SIZE};
			pkts[i] = (struct weft_pkt){.iov = &iov[i], .iov_count = 1};
		}
		count = side->dev->read(side->dev, pkts, BATCH, -1);
		if (count < 0) {
			app_say_error(&app, side->ns, -count);
			return;
		}
		for (int i = 0; i < count; i++)
			iov[i].iov_len = pkts[i].len;
		hand_over(side, pkts, count);
	}
}

static void *run_side(void *arg)
{
	struct side *side = arg;
	uint8_t *bytes = malloc((size_t)BATCH * BUF_SIZE);

	if (!bytes)
		app_say_error(&app, "memory", ENOMEM);
	else if (enter_namespace(side->ns) == 0)
		side->dev = open_dev(side);
	(void)pthread_barrier_wait(side->opened);
	if (side->dev && side->other->dev)
		carry(side, bytes);
	free(bytes);
	return NULL;
}

/* ---- The program. ---- */

static void print_direction(const char *name, const struct side *from)
{
	struct weft_fault_stats out = {.passed = from->carried};
	struct weft_fault_stats in;

	if (from->other->fault)
		weft_dev_fault_stats(from->other->dev, &out, &in);
	(void)printf("\"%s\":{\"carried\":%" PRIu64 ",\"passed\":%" PRIu64 ",\"lost\":%" PRIu64
		     ",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64
		     ",\"queue_drops\":%" PRIu64 ",\"full_drops\":%" PRIu64 "}",
		     name, from->carried, out.passed, out.lost, out.duplicated, out.reordered,
		     out.queue_drops, from->full_lost);
}

static int print_stats(const struct side sides[2])
{
	(void)printf("{\"name\":\"relay\",");
	print_direction("a_to_b", &sides[0]);
	(void)printf(",");
	print_direction("b_to_a", &sides[1]);
	(void)printf("}\n");
	return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

static void wait_for_signal(const sigset_t *set)
{
	int number;

	(void)printf("ready\n");
	(void)fflush(stdout);
	while (sigwait(set, &number) != 0)
		continue;
}

static int run(struct side sides[2])
{
	pthread_barrier_t opened;
	sigset_t set;
	int rc = EXIT_FAILED;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)pthread_barrier_init(&opened, NULL, 3);
	for (int i = 0; i < 2; i++) {
		sides[i].opened = &opened;
		sides[i].other = &sides[1 - i];
		rc = pthread_create(&sides[i].thread, NULL, run_side, &sides[i]);
		if (rc != 0) {
			app_say_error(&app, "thread", rc);
			exit(EXIT_FAILED); /* the other thread may wait at the barrier for ever */
		}
	}
	(void)pthread_barrier_wait(&opened);
	rc = EXIT_FAILED;
	if (sides[0].dev && sides[1].dev) {
		wait_for_signal(&set);
		__atomic_store_n(&is_ending, true, __ATOMIC_RELEASE);
		for (int i = 0; i < 2; i++)
			sides[i].dev->wake(sides[i].dev);
		rc = 0;
	}
	for (int i = 0; i < 2; i++)
		(void)pthread_join(sides[i].thread, NULL);
	if (rc == 0)
		rc = print_stats(sides);
	for (int i = 0; i < 2; i++)
		if (sides[i].dev)
			sides[i].dev->close(sides[i].dev);
	(void)pthread_barrier_destroy(&opened);
	return rc;
}

/* Options with a number; false: malformed or too large. */
static bool take_number(struct weft_fault *fault, uint32_t *mtu, int value, const char *arg)
{
	bool is_ppm = value == OPT_LOSS || value == OPT_REORDER || value == OPT_DUP;
	uint64_t max = is_ppm ? 1000000 : UINT32_MAX;
	uint64_t number;

	if (!parse_number(arg, value == OPT_RATE || value == OPT_SEED ? UINT64_MAX : max, &number))
		return false;
	if (value == OPT_MTU)
		*mtu = (uint32_t)number;
	else if (value == OPT_LOSS)
		fault->loss_ppm = (uint32_t)number;
	else if (value == OPT_DELAY)
		fault->delay_us = (uint32_t)number;
	else if (value == OPT_JITTER)
		fault->jitter_us = (uint32_t)number;
	else if (value == OPT_RATE)
		fault->rate_bps = number;
	else if (value == OPT_REORDER)
		fault->reorder_ppm = (uint32_t)number;
	else if (value == OPT_DUP)
		fault->dup_ppm = (uint32_t)number;
	else if (value == OPT_QUEUE)
		fault->queue_max = (uint32_t)number;
	else
		fault->seed = number;
	return true;
}

/* Options with a text, which must fit its buffer; false: too long. */
static bool take_text(struct side sides[2], int value, const char *arg)
{
	if (strlen(arg) >= NAME_MAX_SIZE)
		return false;
	if (value == OPT_NS_A || value == OPT_NS_B)
		sides[value - OPT_NS_A].ns = arg;
	else if (value == OPT_TUN)
		sides[0].tun_name = sides[1].tun_name = arg;
	else
		sides[value - OPT_ADDR_A].addr = arg;
	return true;
}

static void parse(struct side sides[2], struct weft_fault *fault, int argc, char **argv)
{
	int value;

	while ((value = opts_next(&app, usage, options, OPT_HELP, argc, argv)) >= 0) {
		bool is_good = value <= OPT_TUN ? take_text(sides, value, optarg)
						: take_number(fault, &sides[0].mtu, value, optarg);
		if (!is_good)
			opts_bad(&app);
	}
	if (optind < argc)
		app_usage_error(&app, "unexpected argument '%s'; try --help", argv[optind]);
	if (!sides[0].ns || !sides[1].ns || !sides[0].addr || !sides[1].addr)
		app_usage_error(&app, "give --ns-a, --ns-b, --addr-a and --addr-b; try --help");
}

int main(int argc, char **argv)
{
	static struct side sides[2];
	struct weft_fault faults[2] = {{.seed = 1}};
	const struct weft_fault *fault = &faults[0];
	bool has_fault;

	sides[0].tun_name = sides[1].tun_name = "relay0";
	sides[0].mtu = 1500;
	parse(sides, &faults[0], argc, argv);
	has_fault = fault->loss_ppm || fault->delay_us || fault->jitter_us || fault->rate_bps ||
		    fault->reorder_ppm || fault->dup_ppm;
	sides[1].mtu = sides[0].mtu;
	faults[1] = faults[0];
	faults[1].seed = fault->seed + 1; /* the directions are independent */
	for (int i = 0; i < 2; i++) {
		sides[i].peer_addr = sides[1 - i].addr;
		sides[i].fault = has_fault ? &faults[i] : NULL;
	}
	return run(sides);
}
