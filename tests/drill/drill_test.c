/*
 * The runner itself: what the parser refuses, in one clear line each; that a script which expects
 * something else fails, and says what; and the bed's determinism.
 */
#include "drill.h"

#include "unit.h"
#include <string.h>

#define LISTEN                                                                                     \
	"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"                                            \
	"+0 bind(3, ..., ...) = 0\n"                                                               \
	"+0 listen(3, 1) = 0\n"
#define ACCEPT                                                                                     \
	LISTEN "+.1 < S 0:0(0) win 65535 <mss 1000>\n"                                             \
	       "+0 > S. 0:0(0) ack 1 <mss 1460>\n"                                                 \
	       "+.1 < . 1:1(0) ack 1 win 65535\n"                                                  \
	       "+0 accept(3, ..., ...) = 4\n"

struct refusal {
	const char *text;
	const char *message;
};

/* The parser says 'message' and no more than a line. */
static void refuse(const struct refusal *r)
{
	struct script script;
	bool is_ok = script_parse(&script, "t", r->text, strlen(r->text));

	if (is_ok || strcmp(script.error, r->message) != 0)
		printf("'%s':\n  got  '%s'\n  want '%s'\n", r->text, script.error, r->message);
	CU_ASSERT(!is_ok);
	CU_ASSERT_STRING_EQUAL(script.error, r->message);
	script_free(&script);
}

static void test_bad_syntax(void)
{
	static const struct refusal refusals[] = {
		{"", "t:1: no events"},
		{"// only this\n", "t:2: no events"},
		{"/* no end", "t:1: comment without end"},
		{"hello", "t:1: expected an event's time, not 'hello'"},
		{"0 ", "t:1: expected a packet, a call, `...` or %{ }%, not ''"},
		{"0.x close(3) = 0", "t:1: expected a packet, a call, `...` or %{ }%, not '.x'"},
		{"0~+1 > . 1:1(0) ack 1", "t:1: both ends of a range of times have '+' or none"},
		{"2~1 > . 1:1(0) ack 1", "t:1: range of times ends before it begins"},
		{"*...1 close(3) = 0", "t:1: a blocking call begins at one time"},
		{"2...1 close(3) = 0", "t:1: blocking call ends before it begins"},
		{"0 `true", "t:1: '`' without '`'"},
		{"0 %{ assert 1", "t:1: '%{' without '}%'"},
		{"0 %x", "t:1: expected '%{'"},
		{"--", "t:1: expected an option's name behind '--'"},
		{"0 close(3", "t:1: expected ')', the script ends"},
		{"0 close(3)\n+0 x", "t:2: expected '=', not '+0'"},
		{"0 close(3) = foo", "t:1: the result of close is a number or ..."},
		{"0 close(3) = 0 EBADF", "t:1: EBADF with a result that is not -1"},
		{"0 write(3, \"abc, 3) = 3\n", "t:1: string without end"},
		{"0 write(3, \"\\q\", 3) = 3\n", "t:1: unknown escape '\\q' in a string"},
		{"0 close([[[[[[[[[[[3", "t:1: nested too deep"},
		{"0 close(99999999999999999999) = 0", "t:1: number too large"},
		{"0 close(-) = 0", "t:1: expected a number, not '-)'"},
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		refuse(&refusals[i]);
}

static void test_bad_packets(void)
{
	static const struct refusal refusals[] = {
		{"0 < X 0:0(0) win 1", "t:1: bad TCP flags 'X'"},
		{"0 < SS 0:0(0) win 1", "t:1: bad TCP flags 'SS'"},
		{"0 < S 0:5(4) win 1", "t:1: 0:5(4): the numbers do not fit together"},
		{"0 < S 0:0 win 1", "t:1: expected '(', not 'win'"},
		{"0 < S 0:0(0)", "t:1: a packet to inject needs 'win'"},
		{"0 < S 0:0(0) win 65536", "t:1: 65536 is not in 0..65535"},
		{"0 < S 0:0(0) win 1 <...>", "t:1: <...> is for expected packets only"},
		{"0 < S 0:0(0) win 1 <foo>", "t:1: unknown TCP option 'foo'"},
		{"0 < S 0:0(0) win 1 <mss>", "t:1: expected a number, not '>'"},
		{"0 < S 0:0(0) win 1 <mss 1", "t:1: expected '>', the script ends"},
		{"0 < S 0:0(0) win 1 <TS 1>", "t:1: expected 'val', not '1>'"},
		{"0 < S 0:0(0) win 1 <raw 0x1>",
		 "t:1: expected whole bytes in hexadecimal, 40 at most"},
		{"0 < S 0:0(0) win 1 <sack 1:2 3:4 5:6 7:8 9:10>", "t:1: more than 4 SACK blocks"},
		{"0 < S 0:0(0) win 1 <sack 1:2 3:4 5:6 7:8,sackOK,TS val 1 ecr 2>",
		 "t:1: 46 bytes of TCP options, 40 fit"},
		{"0 < [foo] S 0:0(0) win 1",
		 "t:1: expected ect0, ect1, ect01, ce, noecn, tos or ttl, not 'foo'"},
		{"0 > S 0:0(0) ack 1", "t:1: 'ack' without the flag '.'"},
		{"0 < udp (10)", "t:1: UDP packets are not supported"},
		{"0 < icmp nonsense", "t:1: unknown ICMP error 'nonsense'"},
		{"0 < icmp unreachable foo", "t:1: unknown ICMP error 'unreachable foo'"},
		{"0 > icmp unreachable host_unreachable",
		 "t:1: ICMP errors are injected, not expected"},
		{"0 < #0 S 0:0(0) win 1", "t:1: 0 is not in 1..1000"},
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		refuse(&refusals[i]);
}

/* Runs 'text' strictly; its report, of which only the first line is kept. */
static const char *report_of(const char *text, bool *is_ok)
{
	static struct drill drill;
	static char report[DRILL_TEXT_MAX];
	static const struct drill_params params = {.is_strict = true, .seed = 1};
	struct script script;

	CU_ASSERT_FATAL(script_parse(&script, "t", text, strlen(text)));
	*is_ok = drill_run(&drill, &script, &params);
	drill_fini(&drill);
	script_free(&script);
	memcpy(report, drill.text, sizeof(report));
	report[strcspn(report, "\n")] = '\0';
	return report;
}

static void test_passes(void)
{
	bool is_ok;
	const char *report = report_of(ACCEPT, &is_ok);

	CU_ASSERT(is_ok);
	CU_ASSERT_STRING_EQUAL(report, "");
}

/* What a script that does not hold is told. */
static void test_mismatches(void)
{
	static const struct refusal cases[] = {
		{LISTEN "+0 > . 1:1(0) ack 1", "t:4: no packet"},
		{LISTEN "+0 accept(3, ..., ...) = 4", "t:4: the call blocks, and has no end time"},
		{LISTEN "+0...1 accept(3, ..., ...) = 4", "t:4: the call still blocks at 1.004001"},
		{LISTEN "+0 listen(3, 1) = 1", "t:4: result differs"},
		{LISTEN "+0 close(9) = -1 EINVAL (no)", "t:4: result differs"},
		{ACCEPT "+0 write(4, ..., 10) = 10", "t:8: the stack sent more"},
		{ACCEPT "+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1", "t:9: flags differ"},
		{ACCEPT "+0 write(4, ..., 10) = 10\n+0 > P. 2:12(10) ack 1",
		 "t:9: sequence number differs"},
		{ACCEPT "+0 write(4, ..., 10) = 10\n+0 > P. 1:12(11) ack 1", "t:9: length differs"},
		{ACCEPT "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 2",
		 "t:9: acknowledgment number differs"},
		{ACCEPT "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 win 1",
		 "t:9: window differs"},
		{ACCEPT "+0 write(4, ..., 10) = 10\n+.1 > P. 1:11(10) ack 1", "t:9: another time"},
		{ACCEPT "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 <mss 1>",
		 "t:9: TCP option 2 is missing or has another size"},
		{ACCEPT "+0 write(4, ..., 10) = 10\n+0 > [ce] P. 1:11(10) ack 1",
		 "t:9: ECN bits differ"},
		{ACCEPT "+0 write(4, ..., 10) = 10\n+0 > #2 P. 1:11(10) ack 1",
		 "t:9: another connection"},
		{LISTEN "+0 < S 0:0(0) win 9\n+0 > S. 0:0(0) ack 1",
		 "t:5: TCP options that were not expected"},
		{LISTEN "+0 < S 0:0(0) win 9\n+0 > S. 0:0(0) ack 1 <mss 1>",
		 "t:5: a TCP option's value differs"},
		{ACCEPT "+0 < P. 1:4(3) ack 1 win 9\n+0 read(4, \"abc\", 9) = 3",
		 "t:9: other data was read"},
		{ACCEPT "+0 %{ assert tcpi_state == 2 }%", "t:8: assertion failed"},
		{ACCEPT "+0 %{ assert 1; assert\n foo }%", "t:8: expected a value near ''"},
		{ACCEPT "+0 %{ assert foo }%", "t:8: unknown name foo"},
		{ACCEPT "+0 %{ assert 1 / 0 }%", "t:8: division by zero near ' '"},
		{ACCEPT "+0 getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0",
		 "t:8: the option's value differs: 0"},
		{"0 < icmp packet_too_big mtu 1400\n+0 < icmp unreachable no_route",
		 "t:2: IPv4 has no such ICMP error"},
	};
	bool is_ok;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *report = report_of(cases[i].text, &is_ok);

		if (strcmp(report, cases[i].message) != 0)
			printf("'%s':\n  got  '%s'\n  want '%s'\n", cases[i].text, report,
			       cases[i].message);
		CU_ASSERT(!is_ok);
		CU_ASSERT_STRING_EQUAL(report, cases[i].message);
	}
}

/* What neither the runner nor weft has is refused by name. */
static void test_unsupported(void)
{
	static const struct refusal cases[] = {
		{"--foo=1\n0 close(3) = 0", "t:1: option --foo is not supported"},
		{"--mtu=9\n0 close(3) = 0", "t:1: --mtu is not a number in 1280..65535: '9'"},
		{"--local_ip=::1\n0 close(3) = 0", "t:1: --local_ip is not of --ip_version"},
		{"`ip route flush`\n0 close(3) = 0", "t:1: command 'ip' is not supported"},
		{"`sysctl -w net.ipv4.foo=1`\n0 close(3) = 0",
		 "t:1: weft has no equivalent of net.ipv4.foo"},
		{"`sysctl -q net.ipv4.tcp_sack=0`\n0 close(3) = 0",
		 "t:1: weft has no net.ipv4.tcp_sack=0, only 1"},
		{"`weft foo=1`\n0 close(3) = 0", "t:1: weft has no setting foo"},
		{"`weft delack_ms=501`\n0 close(3) = 0",
		 "t:1: the stack does not open: delack_ms is above 500 (RFC 9293 MUST-40)"},
		{"0 close(3) = -1 EBADF\n+0 `weft delack_ms=50`",
		 "t:2: settings come before the first event"},
		{"0 pipe([3, 4]) = 0",
		 "t:1: pipe: the call, which weft does not have, is not supported"},
		{"0 poll([{fd=3}], 1, 0) = 0", "t:1: the struct has no events"},
		{"0 poll([{fd=3, events=POLLIN}], 2, 0) = 0",
		 "t:1: that are not so many descriptors"},
		{"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
		 "+0 poll([{fd=3, events=POLLOUT, revents=POLLOUT}], 1, 0) = 1",
		 "t:2: events of 3 differ: expected OUT, seen OUT|HUP"},
		{"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 epoll_create(1) = 4\n"
		 "+0 epoll_ctl(4, EPOLL_CTL_ADD, 3, {events=EPOLLIN, fd=3}) = 0\n"
		 "+0 epoll_wait(4, {events=EPOLLHUP, fd=7}, 1, 0) = 1",
		 "t:4: the event is another's"},
		{"0 epoll_wait(3, {events=EPOLLIN, fd=4}, 17, 0) = 0", "t:1: too many events"},
		{"0 frobnicate() = 0", "t:1: unknown system call frobnicate"},
		{"0 close() = 0", "t:1: close with 0 arguments"},
		{"0 socket(FOO, 1, 2) = 3", "t:1: unknown name FOO"},
		{"0 socket([1], 1, 2) = 3", "t:1: the domain is not a number"},
	};
	bool is_ok;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *report = report_of(cases[i].text, &is_ok);

		if (strcmp(report, cases[i].message) != 0)
			printf("'%s':\n  got  '%s'\n  want '%s'\n", cases[i].text, report,
			       cases[i].message);
		CU_ASSERT(!is_ok);
		CU_ASSERT_STRING_EQUAL(report, cases[i].message);
	}
}

/* Assertions of %{ }% that hold. */
static void test_code(void)
{
	static const char *const expressions[] = {
		"1 + 2 * 3 == 7",
		"(1 + 2) * 3 == 9",
		"7 // 2 == 3",
		"-7 % 4 == 1",
		"7 % -4 == -1",
		"-7 // 2 == -4",
		"-8 // 2 == -4 and -8 % 2 == 0",
		"1 < 2 < 3",
		"3 >= 3 == 3",
		"not 3 < 2 < 9",
		"not 5 == 5 == 1",
		"(3 < 2) < 9",
		"1 << 4 | 1 == 17",
		"not 0 and not (1 and 0)",
		"0 or 1",
		"~0 == -1",
		"6 & 3 == 2",
		"6 ^ 3 == 5",
		"3 != 4, 'a; b\\n)'",
		"2 <= 2 and 2 >= 2",
		"1 < 2 and 2 > 1",
		"True and not False",
		"0x10 == 16",
		"(1 ==\n 1)",
		"1 == 1 \\\n and 1",
		"TCP_ESTABLISHED == 1",
		"now_listeners == 1\n",
		"1; print(3); assert 2",
		"count_PKT_IN >= 0",
	};
	char text[400];
	bool is_ok;

	for (size_t i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++) {
		(void)snprintf(text, sizeof(text), LISTEN "+0 %%{ assert %s }%%", expressions[i]);
		const char *report = report_of(text, &is_ok);

		if (!is_ok)
			printf("%s: %s\n", expressions[i], report);
		CU_ASSERT(is_ok);
	}
}

UNIT_MAIN("drill", UNIT(bad_syntax), UNIT(bad_packets), UNIT(passes), UNIT(mismatches),
	  UNIT(unsupported), UNIT(code))
