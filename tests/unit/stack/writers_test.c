/* Many writers, and one ACK that makes room for all of them: nothing comes afterwards.  And large calls. */
#include "asleep.h"
#include "errq.h"

enum { WRITERS = 4, FULL = 8000, ROUNDS = 5 };

static atomic_uint written;

static void *write_one(void *s)
{
	CU_ASSERT_EQUAL(rig_send(s, "x", 1), 1);
	atomic_fetch_add(&written, 1);
	return NULL;
}

static bool is_written(void *count)
{
	return atomic_load(&written) == *(unsigned *)count;
}

static uint32_t fill(struct sock *s)
{
	static uint8_t bytes[FULL];
	struct iovec iov = {bytes, sizeof(bytes)};
	ssize_t n = sock_send(s, &iov, 1, MSG_DONTWAIT);

	CU_ASSERT_FATAL(n > 0);
	CU_ASSERT_EQUAL(sock_send(s, &iov, 1, MSG_DONTWAIT), -EAGAIN);
	return (uint32_t)n;
}

/* The one who is woken wakes the next, and so on: the ACK wakes no more than one. */
static void test_room_is_passed_on(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[WRITERS];
		unsigned all = WRITERS;
		struct bed bed;

		bed_open(&bed);
		uint32_t iss = bed.last.seq;

		CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_SNDBUF, FULL / 2), 0);
		CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_SNDTIMEO, 10 * US_PER_S), 0);
		uint32_t size = fill(bed.s);

		atomic_store(&written, 0);
		for (int i = 0; i < WRITERS; i++)
			CU_ASSERT_FATAL(thread_start(&threads[i], "write", write_one, bed.s) == 0);
		await_asleep(bed.s, 0, WRITERS);
		ack(&bed, iss, size);
		CU_ASSERT_TRUE(rig_until(is_written, &all, 5000)); /* and not by the timeout */
		for (int i = 0; i < WRITERS; i++)
			thread_join(threads[i]);
		await_outq(bed.s, WRITERS);
		bed_close(&bed);
	}
}

/* One byte more than a call takes is left for the next one. */
static void test_largest_call(void)
{
	struct iovec iov[3] = {{NULL, 1}, {NULL, SOCK_IO_MAX - 2}, {NULL, 1}};

	CU_ASSERT_EQUAL(sock_io_size(iov, 0), 0);
	CU_ASSERT_EQUAL(sock_io_size(iov, 2), SOCK_IO_MAX - 1);
	CU_ASSERT_EQUAL(sock_io_size(iov, 3), SOCK_IO_MAX);
	iov[2].iov_len = 2;
	CU_ASSERT_EQUAL(sock_io_size(iov, 3), SOCK_IO_MAX);
	iov[2].iov_len = (size_t)5 << 30;
	CU_ASSERT_EQUAL(sock_io_size(iov, 3), SOCK_IO_MAX);
	CU_ASSERT(SOCK_IO_MAX <= INT32_MAX);
}

UNIT_MAIN("writers", UNIT(room_is_passed_on), UNIT(largest_call))
