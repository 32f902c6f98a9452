/*
 * weft_sendfile: bytes of a file of the kernel's into a socket.  Any thread; blocks as reading the file
 * and sending do.  What is read goes through a buffer: segments are cut from weft's own buffers.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "api/src/io.h"
#include "net/base/sync.h"
#include <stdlib.h>
#include <unistd.h>

enum {
	STEP = 1 << 18,
	COUNT_MAX = 0x7ffff000, /* Linux's: less than an int */
};

/* Reads a piece at 'at' and sends it; bytes sent, 0 at the end of the file. */
static ssize_t send_piece(struct conn *conn, int file, off_t at, void *buf, size_t size, bool more)
{
	static const struct io_to nowhere;
	/* pread is a cancellation point, and nobody else would give back what is held. */
	int cancel = thread_cancel_off();
	ssize_t got = pread(file, buf, size, at);
	int error = errno;

	thread_cancel_restore(cancel);
	if (got < 0)
		return error == ESPIPE ? -EINVAL : -error;
	if (got == 0)
		return 0;
	struct iovec iov = {buf, (size_t)got};
	struct sock_msg msg = {
		.iov = &iov, .count = 1, .flags = more && (size_t)got == size ? MSG_MORE : 0};

	msg.flags &= proto_of(conn)->send_flags;
	return io_send(conn, &msg, &nowhere);
}

/* From '*at' on, which moves, through 'buf'; an error behind some bytes is for the next call. */
static ssize_t send_pieces(struct conn *conn, int file, off_t *at, size_t count, void *buf,
			   size_t size)
{
	size_t sent = 0;
	ssize_t rc = 0;

	while (sent < count) {
		size_t part = count - sent < size ? count - sent : size;

		rc = send_piece(conn, file, *at, buf, part, sent + part < count);
		if (rc <= 0)
			break;
		sent += (size_t)rc;
		*at += rc;
	}
	return sent > 0 ? (ssize_t)sent : rc;
}

/* A call's buffer, which also a cancelled thread gives back. */
struct piece {
	void *bytes;
};

static void free_piece(const struct piece *piece)
{
	free(piece->bytes);
}

static ssize_t send_file(struct conn *conn, int file, off_t *at, size_t count)
{
	size_t size = count < STEP ? count : STEP;
	struct piece piece CLEANUP(free_piece) = {malloc(size > 0 ? size : 1)};

	if (!piece.bytes)
		return -ENOMEM;
	/* The analyzer does not know cleanups.  NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	return send_pieces(conn, file, at, count, piece.bytes, size);
}

static ssize_t do_sendfile(struct conn *conn, int file, off_t *offset, size_t count)
{
	off_t at = offset ? *offset : lseek(file, 0, SEEK_CUR);

	if (at < 0)
		return offset || errno == ESPIPE ? -EINVAL : -errno;
	ssize_t rc = send_file(conn, file, &at, count < COUNT_MAX ? count : COUNT_MAX);

	if (offset)
		*offset = at;
	else if (rc > 0 && lseek(file, at, SEEK_SET) < 0)
		return -errno;
	return rc;
}

ssize_t weft_sendfile(int fd, int file, off_t *offset, size_t count)
{
	struct conn *conn CONN_REF = NULL;

	thread_testcancel();
	ssize_t rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret(rc == -ENOTSOCK ? -EINVAL : rc);
	rc = do_sendfile(conn, file, offset, count);
	proto_put(&conn);
	return api_ret(rc);
}
