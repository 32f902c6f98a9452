/* idle_net.c - see idle_net.h.  Called on the main thread, before there are others. */
#include "idle_net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { WORDS_MAX = 32, TEXT_SIZE = 256 };

int net_unshare(void)
{
	return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}

static void set(const char *name, const char *value)
{
	char path[TEXT_SIZE];

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		(void)fprintf(stderr, "%s: %s\n", path, strerrordesc_np(errno));
	(void)close(fd);
}

void net_tune(void)
{
	set("ip_local_port_range", "1024 65535");
	set("tcp_max_tw_buckets", "2000000");
	set("tcp_max_syn_backlog", "65536");
}

void net_set_queue(const char *name, int packets)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_qlen = packets};

	if (fd < 0)
		return;
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	(void)ioctl(fd, SIOCSIFTXQLEN, &request);
	(void)close(fd);
}

int net_ip(const char *arguments)
{
	char text[TEXT_SIZE];
	char ip[] = "ip";
	char *words[WORDS_MAX] = {ip};
	char *rest = NULL;
	pid_t pid;
	int status = -1;
	unsigned count = 1;

	(void)snprintf(text, sizeof(text), "%s", arguments);
	for (char *word = strtok_r(text, " ", &rest); word && count < WORDS_MAX - 1;
	     word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	if (posix_spawnp(&pid, "ip", NULL, NULL, words, environ) != 0)
		return -1;
	(void)waitpid(pid, &status, 0);
	return status == 0 ? 0 : -1;
}
