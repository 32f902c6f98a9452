/*
 * The two ends of tests/kernel/lib.sh's TUN interface.  Header-only.
 */
#ifndef WEFT_TESTS_KERNEL_ENDS_H
#define WEFT_TESTS_KERNEL_ENDS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* Writes weft's or the kernel's address with a port, and returns how long it is. */
static inline socklen_t end_address(bool is_v6, bool is_weft, uint16_t number,
				    struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
	uint16_t port = htons(number);

	memset(to, 0, sizeof(*to));
	if (is_v6) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		(void)inet_pton(AF_INET6, is_weft ? "fd77::2" : "fd77::1", &v6->sin6_addr);
		return sizeof(*v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = port;
	(void)inet_pton(AF_INET, is_weft ? "10.77.0.2" : "10.77.0.1", &v4->sin_addr);
	return sizeof(*v4);
}

#endif
