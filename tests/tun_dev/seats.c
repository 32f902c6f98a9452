/* Who is woken for a packet: weft_dev.wait of the TUN device. */
#include "net/base/sync.h"
#include "tun_dev.h"
#include "unit.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* IPv6 on a new interface talks by itself; off, nothing comes but what a test sends. */
static void set_ipv6(bool is_on)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	CU_ASSERT_EQUAL(write(fd, is_on ? "0" : "1", 1), 1);
	close(fd);
}

struct waiter {
	struct weft_dev *dev;
	enum weft_seat seat;
	int result;
	atomic_bool is_done;
};

static void *run_waiter(void *arg)
{
	struct waiter *w = arg;

	w->result = w->dev->wait(w->dev, w->seat, -1);
	atomic_store(&w->is_done, true);
	return NULL;
}

/* The number of the system call that a thread sleeps in, or -1. */
static long task_call(const char *task)
{
	char path[300], text[100] = "";

	snprintf(path, sizeof(path), "/proc/self/task/%s/syscall", task);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	return n > 0 && text[0] >= '0' && text[0] <= '9' ? strtol(text, NULL, 10) : -1;
}

/* Waits until 'count' threads besides this one sleep in epoll_wait. */
static void await_sleepers(int count)
{
	int asleep = -1;

	while (asleep != count) {
		DIR *tasks = opendir("/proc/self/task");
		struct dirent *entry;

		sched_yield();
		asleep = 0;
		while ((entry = readdir(tasks)))
			asleep += task_call(entry->d_name) == SYS_epoll_wait;
		closedir(tasks);
	}
}

/* The kernel wakes the leader for packets, and the reader when there is no leader. */
void test_seats(void)
{
	struct weft_tun_config config = {.fd = -1, .peer4 = "10.9.0.1", .addr4 = "10.9.0.2/24"};
	pthread_t leading, reading;

	set_ipv6(false);
	struct weft_dev *dev = open_tun(&config);
	struct waiter leader = {.dev = dev, .seat = WEFT_SEAT_LEADER};
	struct waiter reader = {.dev = dev, .seat = WEFT_SEAT_READER};
	int fd = kernel_socket("10.9.0.1", 5000, SOCK_DGRAM);
	socklen_t size;
	struct sockaddr_storage ss = address("10.9.0.2", 6000, &size);

	CU_ASSERT_EQUAL(dev->wait(dev, WEFT_SEAT_LEADER, 0), 0);
	dev->wake_leader(dev);
	CU_ASSERT_EQUAL(dev->wait(dev, WEFT_SEAT_LEADER, -1), 0);
	CU_ASSERT_EQUAL_FATAL(thread_start(&reading, "reader", run_waiter, &reader), 0);
	CU_ASSERT_EQUAL_FATAL(thread_start(&leading, "leader", run_waiter, &leader), 0);
	await_sleepers(2);
	CU_ASSERT_EQUAL(sendto(fd, "x", 1, 0, (struct sockaddr *)&ss, size), 1);
	thread_join(leading);
	CU_ASSERT_EQUAL(leader.result, 1);
	CU_ASSERT_TRUE(read_one(dev, 0).len > 0);
	await_sleepers(1);
	CU_ASSERT_FALSE(atomic_load(&reader.is_done));
	CU_ASSERT_EQUAL(sendto(fd, "x", 1, 0, (struct sockaddr *)&ss, size), 1);
	thread_join(reading);
	CU_ASSERT_EQUAL(reader.result, 1);
	CU_ASSERT_TRUE(read_one(dev, 0).len > 0);
	dev->close(dev);
	close(fd);
	set_ipv6(true);
}
