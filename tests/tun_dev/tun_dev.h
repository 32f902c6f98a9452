/* What the tests of the TUN device share. */
#ifndef WEFT_TESTS_TUN_DEV_H
#define WEFT_TESTS_TUN_DEV_H

#include "weft/dev.h"
#include <stdint.h>
#include <sys/socket.h>

struct weft_dev *open_tun(const struct weft_tun_config *config);

/* The next packet, in a buffer of the file's own; len 0 when none came in time. */
struct weft_pkt read_one(struct weft_dev *dev, int64_t timeout_us);

struct sockaddr_storage address(const char *text, uint16_t port, socklen_t *size);

/* A kernel socket bound to 'text'; receive calls wait for 5 s at most. */
int kernel_socket(const char *text, uint16_t port, int type);

void test_seats(void);
void test_timeouts(void);
void test_unreadable_packets(void);

#endif
