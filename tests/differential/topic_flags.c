/* fcntl and O_NONBLOCK. */
#include "diff.h"

void topic_flags(void)
{
	int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
	int pair[SIDES];
	char byte;

	say_prefix("fcntl");
	say("getfl", x_fcntl(fd, F_GETFL, 0));
	say("setfl", x_fcntl(fd, F_SETFL, O_NONBLOCK));
	say("getfl_nonblock", x_fcntl(fd, F_GETFL, 0));
	say("setfl_other", x_fcntl(fd, F_SETFL, O_RDONLY | O_CREAT));
	say("getfl_cleared", x_fcntl(fd, F_GETFL, 0));
	say("unknown", x_fcntl(fd, 9999, 0));
	(void)x_close(fd);
	fd = x_socket(SERVER, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	say("getfl_socket", x_fcntl(fd, F_GETFL, 0));
	(void)x_close(fd);
	make_connection(pair);
	(void)x_fcntl(pair[CLIENT], F_SETFL, O_NONBLOCK);
	say("recv", x_recv(pair[CLIENT], &byte, 1, 0));
	say("recv_waitall", x_recv(pair[CLIENT], &byte, 1, MSG_WAITALL));
	say("read", x_read(pair[CLIENT], &byte, 1));
	say("peek", x_recv(pair[CLIENT], &byte, 1, MSG_PEEK));
	close_both(pair);
}
