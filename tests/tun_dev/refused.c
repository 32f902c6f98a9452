/* What kernels may refuse, and the TUN device has to live with: system calls of this program by --wrap. */
#include "net/base/sync.h"
#include "tun_dev.h"
#include "unit.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

/* Names that the linker knows. */
ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);
int __real_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *left,
			const sigset_t *mask);
int __wrap_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *left,
			const sigset_t *mask);

static int
	next_error; /* of the next packet that is read, which is lost, as the kernel has it; 0: none */
static int pwait2_error; /* what a kernel or a filter says that does not know it; 0: it does */

ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
	ssize_t size = __real_readv(fd, iov, count);

	if (size < 0 || next_error == 0)
		return size;
	errno = next_error;
	next_error = 0;
	return -1;
}

int __wrap_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *left,
			const sigset_t *mask)
{
	if (pwait2_error == 0)
		return __real_epoll_pwait2(fd, events, count, left, mask);
	errno = pwait2_error;
	return -1;
}

static void check_timeouts(void)
{
	struct weft_tun_config config = {.fd = -1};
	struct weft_dev *dev = open_tun(&config);

	while (read_one(dev, 300000).len > 0) /* what the kernel says to a new interface */
		continue;
	weft_time_us start = clock_monotonic_us();
	CU_ASSERT_EQUAL(read_one(dev, 0).len, 0);
	CU_ASSERT_EQUAL(read_one(dev, 20000).len, 0);
	CU_ASSERT_TRUE(clock_monotonic_us() - start >= 20000);
	dev->wake(dev);
	dev->wake(dev);
	CU_ASSERT_EQUAL(read_one(dev, -1).len, 0); /* the test hangs otherwise */
	start = clock_monotonic_us();
	CU_ASSERT_EQUAL(read_one(dev, 20000).len, 0);
	CU_ASSERT_TRUE(clock_monotonic_us() - start >= 20000);
	dev->close(dev);
}

void test_timeouts(void)
{
	static const int errors[] = {0, ENOSYS, EPERM};

	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		pwait2_error = errors[i];
		check_timeouts();
	}
	pwait2_error = 0;
}

/* Reads until a bad packet comes, or one that ends with 'text'; the kernel says things by itself meanwhile. */
static bool comes(struct weft_dev *dev, const char *text)
{
	static uint8_t bytes[65535 + 64];
	struct iovec iov = {bytes, sizeof(bytes)};
	size_t size = text ? strlen(text) : 0;

	for (;;) {
		struct weft_pkt pkt = {.iov = &iov, .iov_count = 1, .len = 7};

		if (dev->read(dev, &pkt, 1, 5000000) != 1)
			return false;
		if (pkt.flags & WEFT_PKT_BAD)
			return !text && pkt.len == 0 && pkt.gso_size == 0;
		if (text && pkt.len > size && memcmp(bytes + pkt.len - size, text, size) == 0)
			return true;
	}
}

/* A packet that the kernel cannot hand over ("unexpected GSO type") is one lost packet. */
void test_unreadable_packets(void)
{
	static const int errors[] = {EINVAL, EFAULT, ENOMEM};
	struct weft_tun_config config = {.fd = -1, .peer4 = "10.9.0.1", .addr4 = "10.9.0.2/24"};
	socklen_t size;

	struct weft_dev *dev = open_tun(&config);
	struct sockaddr_storage ss = address("10.9.0.2", 6000, &size);
	int fd = kernel_socket("10.9.0.1", 5001, SOCK_DGRAM);

	CU_ASSERT(dev->flags & WEFT_DEV_TX_CSUM); /* else it is no readv */
	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		next_error = errors[i];
		CU_ASSERT_EQUAL(sendto(fd, "lost", 4, 0, (struct sockaddr *)&ss, size), 4);
		CU_ASSERT(comes(dev, NULL));
		CU_ASSERT_EQUAL(next_error, 0);
		CU_ASSERT_EQUAL(sendto(fd, "kept", 4, 0, (struct sockaddr *)&ss, size), 4);
		CU_ASSERT(comes(dev, "kept"));
	}
	(void)close(fd);
	dev->close(dev);
}
