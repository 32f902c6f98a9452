/*
 * sockaddr conversion: families, lengths, mapped addresses, truncation.  No stack is needed.
 */
#include "api/src/sockaddr.h"
#include "unit.h"
#include <arpa/inet.h>
#include <errno.h>

static struct sockaddr_in in_addr4(const char *text, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

	CU_ASSERT_FATAL(inet_pton(AF_INET, text, &in.sin_addr) == 1);
	return in;
}

static struct sockaddr_in6 in_addr6(const char *text, uint16_t port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	CU_ASSERT_FATAL(inet_pton(AF_INET6, text, &in6.sin6_addr) == 1);
	return in6;
}

static int read_as(const void *addr, socklen_t len, bool is_v6, bool is_v6only,
		   enum sockaddr_use use, struct sock_addr *out)
{
	return sockaddr_read(addr, len, is_v6, is_v6only, use, out);
}

static void test_reads_v4(void)
{
	struct sockaddr_in in = in_addr4("192.0.2.7", 8080);
	struct sock_addr out;
	char text[ADDR_TEXT_SIZE];

	CU_ASSERT(read_as(&in, sizeof(in), false, false, SOCKADDR_BIND, &out) == 0);
	CU_ASSERT(out.port == 8080);
	CU_ASSERT_STRING_EQUAL(addr_print(&out.addr, text), "192.0.2.7");
	CU_ASSERT(read_as(&in, 15, false, false, SOCKADDR_BIND, &out) == -EINVAL);
	CU_ASSERT(read_as(&in, 3, false, false, SOCKADDR_CONNECT, &out) == -EINVAL);
	CU_ASSERT(read_as(&in, 129, false, false, SOCKADDR_BIND, &out) == -EINVAL);
	CU_ASSERT(read_as(NULL, 16, false, false, SOCKADDR_BIND, &out) == -EFAULT);
	CU_ASSERT(read_as(NULL, 0, false, false, SOCKADDR_BIND, &out) == -EINVAL);
	CU_ASSERT(read_as(&in, sizeof(in), true, false, SOCKADDR_BIND, &out) == -EINVAL);
}

static void test_reads_v6(void)
{
	struct sockaddr_in6 in6 = in_addr6("2001:db8::7", 443);
	struct sock_addr out;

	CU_ASSERT(read_as(&in6, sizeof(in6), true, false, SOCKADDR_BIND, &out) == 0);
	CU_ASSERT(out.port == 443 && !addr_is_v4(&out.addr));
	CU_ASSERT(read_as(&in6, 24, true, false, SOCKADDR_BIND, &out) == 0);
	CU_ASSERT(read_as(&in6, 23, true, false, SOCKADDR_BIND, &out) == -EINVAL);
	CU_ASSERT(read_as(&in6, sizeof(in6), false, false, SOCKADDR_BIND, &out) == -EAFNOSUPPORT);
	in6.sin6_family = AF_INET;
	CU_ASSERT(read_as(&in6, sizeof(in6), true, false, SOCKADDR_BIND, &out) == -EAFNOSUPPORT);
}

static void test_mapped_and_v6only(void)
{
	struct sockaddr_in6 in6 = in_addr6("::ffff:192.0.2.7", 443);
	struct sock_addr out;

	CU_ASSERT(read_as(&in6, sizeof(in6), true, false, SOCKADDR_CONNECT, &out) == 0);
	CU_ASSERT(addr_is_v4(&out.addr));
	CU_ASSERT(read_as(&in6, sizeof(in6), true, true, SOCKADDR_BIND, &out) == -EINVAL);
	CU_ASSERT(read_as(&in6, sizeof(in6), true, true, SOCKADDR_CONNECT, &out) == -ENETUNREACH);
}

static void test_writes_and_truncates(void)
{
	struct sockaddr_in in = in_addr4("192.0.2.7", 8080);
	struct sockaddr_storage ss;
	struct sock_addr a;
	socklen_t len = sizeof(ss);

	CU_ASSERT(read_as(&in, sizeof(in), false, false, SOCKADDR_BIND, &a) == 0);
	sockaddr_write(&a, false, (struct sockaddr *)&ss, &len);
	CU_ASSERT(len == sizeof(in) && memcmp(&ss, &in, sizeof(in)) == 0);
	memset(&ss, 0xee, sizeof(ss));
	len = 4;
	sockaddr_write(&a, false, (struct sockaddr *)&ss, &len);
	CU_ASSERT(len == sizeof(in));
	CU_ASSERT(memcmp(&ss, &in, 4) == 0 && ((const uint8_t *)&ss)[4] == 0xee);
	struct sockaddr_in6 mapped = in_addr6("::ffff:192.0.2.7", 8080);
	len = sizeof(ss);
	sockaddr_write(&a, true, (struct sockaddr *)&ss, &len);
	CU_ASSERT(len == sizeof(mapped) && memcmp(&ss, &mapped, sizeof(mapped)) == 0);
	sockaddr_write(&a, true, NULL, &len);
}

static void test_checks_result_arguments(void)
{
	struct sockaddr_storage ss = {0};
	const struct sockaddr *addr = (const struct sockaddr *)&ss;
	socklen_t len = 10;
	socklen_t negative = (socklen_t)-1;

	CU_ASSERT(sockaddr_check_out(addr, &len, false) == 0);
	CU_ASSERT(sockaddr_check_out(addr, &negative, false) == -EINVAL);
	CU_ASSERT(sockaddr_check_out(addr, NULL, true) == -EFAULT);
	CU_ASSERT(sockaddr_check_out(NULL, &len, false) == -EFAULT);
	CU_ASSERT(sockaddr_check_out(NULL, NULL, true) == 0);
}

UNIT_MAIN("sockaddr", UNIT(reads_v4), UNIT(reads_v6), UNIT(mapped_and_v6only),
	  UNIT(writes_and_truncates), UNIT(checks_result_arguments))
