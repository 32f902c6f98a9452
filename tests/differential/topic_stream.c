/* send and receive on a connection: flags, vectors, lengths, timeouts, unconnected sockets. */
#include "diff.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/time.h>

static void unconnected(void)
{
	int fd = x_socket(CLIENT, AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in in = addr4_of(SERVER, 9);
	char byte = 0;
	struct iovec iov = {&byte, 1};

	say_prefix("unconnected");
	say("read", x_read(fd, &byte, 1));
	say("read_0", x_read(fd, &byte, 0));
	say("readv", x_readv(fd, &iov, 1));
	say("readv_0", x_readv(fd, &iov, 0));
	say("recv", x_recv(fd, &byte, 1, 0));
	say("recv_0", x_recv(fd, &byte, 0, 0));
	say("recv_peek", x_recv(fd, &byte, 1, MSG_PEEK));
	say("recv_dontwait", x_recv(fd, &byte, 1, MSG_DONTWAIT));
	say("recvfrom", x_recvfrom(fd, &byte, 1, 0, NULL, NULL));
	say("write", x_write(fd, &byte, 1));
	say("write_0", x_write(fd, &byte, 0));
	say("writev", x_writev(fd, &iov, 1));
	say("writev_0", x_writev(fd, &iov, 0));
	say("send", x_send(fd, &byte, 1, 0));
	say("send_dontwait", x_send(fd, &byte, 1, MSG_DONTWAIT));
	say("sendto", x_sendto(fd, &byte, 1, 0, (struct sockaddr *)&in, sizeof(in)));
	say("shutdown_rd", x_shutdown(fd, SHUT_RD));
	say("shutdown_wr", x_shutdown(fd, SHUT_WR));
	say("shutdown_rdwr", x_shutdown(fd, SHUT_RDWR));
	say("shutdown_how", x_shutdown(fd, 3));
	say("shutdown_negative", x_shutdown(fd, -1));
	(void)x_close(fd);
}

static void simple(void)
{
	int fd[SIDES];
	struct sockaddr_in in = addr4_of(SERVER, 9);
	char buf[64] = {0};
	struct iovec out[3] = {{buf, 1}, {NULL, 0}, {buf, 5}};
	struct iovec in3[3] = {{buf, 2}, {buf + 10, 0}, {buf + 20, 3}};
	socklen_t len = sizeof(in);

	say_prefix("simple");
	make_connection(fd);
	memcpy(buf, "abcdef", 6);
	say("send", x_send(fd[CLIENT], buf, 6, 0));
	memset(buf, 0, sizeof(buf));
	say("peek", x_recv(fd[SERVER], buf, 6, MSG_PEEK | MSG_WAITALL));
	say_text("peeked", buf);
	say("recv_part", x_recv(fd[SERVER], buf, 3, 0));
	say("recv_dontwait", x_recv(fd[SERVER], buf, sizeof(buf), MSG_DONTWAIT));
	say("recv_nothing", x_recv(fd[SERVER], buf, sizeof(buf), MSG_DONTWAIT));
	say("recv_0_nothing", x_recv(fd[SERVER], buf, 0, MSG_DONTWAIT));
	say("read_0_nothing", x_read(fd[SERVER], buf, 0));
	say("send_0", x_send(fd[CLIENT], buf, 0, 0));
	say("write_0", x_write(fd[CLIENT], buf, 0));
	say("writev", x_writev(fd[CLIENT], out, 3));
	say("writev_none", x_writev(fd[CLIENT], out, 0));
	say("readv", x_recv(fd[SERVER], buf, 6, MSG_WAITALL | MSG_PEEK));
	say("readv_parts", x_readv(fd[SERVER], in3, 3));
	say("readv_rest", x_readv(fd[SERVER], in3, 1));
	say("readv_none", x_readv(fd[SERVER], in3, 0));
	say("sendto_ignored", x_sendto(fd[CLIENT], "x", 1, 0, (struct sockaddr *)&in, len));
	say("sendto_null", x_sendto(fd[CLIENT], "x", 1, 0, NULL, 0));
	say_with("recvfrom", x_recvfrom(fd[SERVER], buf, 1, 0, (struct sockaddr *)&in, &len),
		 (long)len);
	say("recvfrom_null", x_recvfrom(fd[SERVER], buf, 1, MSG_WAITALL, NULL, NULL));
	close_both(fd);
}

static void trunc_and_waitall(void)
{
	int fd[SIDES];
	char buf[64] = {0};
	struct timeval soon = {0, 50000};

	say_prefix("recv_flags");
	make_connection(fd);
	(void)x_send(fd[CLIENT], "0123456789", 10, 0);
	(void)x_recv(fd[SERVER], buf, 10, MSG_PEEK | MSG_WAITALL);
	say("trunc", x_recv(fd[SERVER], NULL, 4, MSG_TRUNC));
	say("trunc_peek", x_recv(fd[SERVER], buf, 2, MSG_TRUNC | MSG_PEEK));
	say("after", x_recv(fd[SERVER], buf, 2, 0));
	buf[2] = 0;
	say_text("bytes", buf);
	say("waitall", x_recv(fd[SERVER], buf, 4, MSG_WAITALL));
	say("empty_peek", x_recv(fd[SERVER], buf, 4, MSG_PEEK | MSG_DONTWAIT));
	(void)x_setsockopt(fd[SERVER], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	say("timeout", x_recv(fd[SERVER], buf, 1, 0));
	(void)x_send(fd[CLIENT], "ab", 2, 0);
	say("waitall_timeout", x_recv(fd[SERVER], buf, 4, MSG_WAITALL));
	int low = 4;
	(void)x_setsockopt(fd[SERVER], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
	(void)x_send(fd[CLIENT], "abc", 3, 0);
	say("lowat_timeout", x_recv(fd[SERVER], buf, 8, 0));
	(void)x_send(fd[CLIENT], "abcdef", 6, 0);
	say("lowat", x_recv(fd[SERVER], buf, 4, MSG_WAITALL));
	say("flag_oob", x_recv(fd[SERVER], buf, 1, MSG_OOB | MSG_DONTWAIT));
	say("flag_errqueue", x_recv(fd[SERVER], buf, 1, MSG_ERRQUEUE));
	say("flag_nosignal", x_recv(fd[SERVER], buf, 1, MSG_NOSIGNAL | MSG_DONTWAIT));
	close_both(fd);
}

static void bad_vectors(void)
{
	int fd[SIDES];
	char byte = 0;
	struct iovec *many = calloc(IOV_MAX + 1, sizeof(*many));
	struct iovec two[2] = {{&byte, SSIZE_MAX}, {&byte, 1}};
	struct iovec null = {NULL, 1};

	say_prefix("vectors");
	make_connection(fd);
	say("readv_negative", x_readv(fd[SERVER], &null, -1));
	say("writev_negative", x_writev(fd[SERVER], &null, -1));
	say("readv_too_many", x_readv(fd[SERVER], many, IOV_MAX + 1));
	say("writev_too_many", x_writev(fd[SERVER], many, IOV_MAX + 1));
	say("writev_many_empty", x_writev(fd[SERVER], many, IOV_MAX));
	say("writev_null", x_writev(fd[SERVER], NULL, 1));
	say("readv_null", x_readv(fd[SERVER], NULL, 1));
	say("writev_null_part", x_writev(fd[SERVER], &null, 1));
	say("send_null", x_send(fd[SERVER], NULL, 1, 0));
	say("send_null_0", x_send(fd[SERVER], NULL, 0, 0));
	say("write_null_0", x_write(fd[SERVER], NULL, 0));
	two[0].iov_len = (size_t)SSIZE_MAX + 1;
	say("readv_negative_part", x_readv(fd[SERVER], two, 1));
	say("writev_negative_part", x_writev(fd[SERVER], two, 1));
	close_both(fd);
	free(many);
}

static void full(void)
{
	int fd[SIDES];
	static char buf[1 << 16];
	struct timeval soon = {0, 50000};
	ssize_t n, sum = 0;

	say_prefix("full");
	make_connection(fd);
	while ((n = x_send(fd[CLIENT], buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		sum += n;
	say("dontwait", n);
	say_value("took_some", sum > 0);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
	while ((n = x_send(fd[CLIENT], buf, sizeof(buf), 0)) > 0)
		sum += n;
	say("timeout", n);
	(void)x_fcntl(fd[CLIENT], F_SETFL, O_NONBLOCK);
	while ((n = x_send(fd[CLIENT], buf, sizeof(buf), 0)) > 0)
		sum += n;
	say("nonblock", n);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	ssize_t got = 0;
	while ((n = x_recv(fd[SERVER], buf, sizeof(buf), 0)) > 0)
		got += n;
	say_value("all_came", got == sum);
	say("end", n);
	close_both(fd);
}

/* One call with more than there is room for: the count of what was taken when the time is over. */
static void partial(void)
{
	enum { LARGE = 64 << 20 };

	int fd[SIDES];
	char *bytes = calloc(1, LARGE);
	struct timeval soon = {0, 100000};
	struct iovec iov[2] = {{bytes, 100}, {bytes, LARGE - 100}};

	say_prefix("partial");
	make_connection(fd);
	(void)x_setsockopt(fd[CLIENT], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
	ssize_t n = x_writev(fd[CLIENT], iov, 2), sum = n, part, got = 0;
	say_value("some", n > 100 && n < LARGE);
	/* Both buffers may grow meanwhile. */
	while ((part = x_write(fd[CLIENT], bytes, LARGE)) > 0)
		sum += part;
	say("then", part);
	(void)x_shutdown(fd[CLIENT], SHUT_WR);
	while ((part = x_recv(fd[SERVER], bytes, LARGE, 0)) > 0)
		got += part;
	say_value("came", got == sum);
	close_both(fd);
	free(bytes);
}

void topic_stream(void)
{
	unconnected();
	simple();
	trunc_and_waitall();
	bad_vectors();
	full();
	partial();
}
