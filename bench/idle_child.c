/*
 * idle_child.c - the client processes: see idle_child.h.  One thread each, one command at a time,
 * blocking sockets.
 */
#include "idle_child.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum op { OP_OPEN, OP_SEND, OP_RECEIVE, OP_PING, OP_BYTE, OP_CLOSE };

enum { TIMEOUT_S = 60 };

struct command {
	enum op op;
	uint32_t index;
	uint32_t count;
	uint64_t seed;
	struct child_target to;
};

struct answer {
	int error;
	struct hist times;
};

/* In the child. */
struct client {
	int pair;
	uint32_t first; /* index of the first connection */
	uint32_t count;
	int fds[CHILD_CONNS_MAX];
	uint16_t ports[CHILD_CONNS_MAX];
	uint32_t indexes[CHILD_CONNS_MAX];
	struct answer answer;
};

void child_message(uint64_t seed, uint32_t index, uint8_t *message)
{
	uint64_t key = mix(mix(seed) ^ index);

	for (size_t i = 0; i < CHILD_MESSAGE / sizeof(key); i++) {
		uint64_t word = mix(key + i);

		memcpy(message + i * sizeof(word), &word, sizeof(word));
	}
}

static bool read_all(int fd, void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, (char *)data + done, size - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool write_all(int fd, const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* ---- The child. ---- */

static int fd_of(const struct client *client, uint32_t index)
{
	return client->fds[index - client->first];
}

/* 0 or an errno value. */
static int open_one(struct client *client, const struct child_target *to, uint32_t index)
{
	const struct timeval limit = {.tv_sec = TIMEOUT_S};
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = to->addr};
	socklen_t len = sizeof(addr);
	int one = 1;
	int64_t start = clock_ns();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	client->fds[client->count] = fd;
	addr.sin_port = htons((uint16_t)(to->port + index % to->ports));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", strlen("cubic"));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return errno;
	hist_add(&client->answer.times, clock_ns() - start, index);
	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return errno;
	client->ports[client->count++] = ntohs(addr.sin_port);
	return 0;
}

static int run_open(struct client *client, const struct command *command)
{
	int error = 0;

	if (client->count == 0)
		client->first = command->index;
	if (client->count + command->count > CHILD_CONNS_MAX)
		return E2BIG;
	for (uint32_t i = 0; i < command->count && error == 0; i++)
		error = open_one(client, &command->to, command->index + i);
	return error;
}

static int run_messages(struct client *client, const struct command *command)
{
	uint8_t message[CHILD_MESSAGE];
	uint8_t echo[CHILD_MESSAGE];

	for (uint32_t i = 0; i < command->count; i++) {
		int fd = fd_of(client, client->indexes[i]);

		child_message(command->seed, client->indexes[i], message);
		if (command->op == OP_SEND && !write_all(fd, message, sizeof(message)))
			return errno;
		if (command->op == OP_RECEIVE && !read_all(fd, echo, sizeof(echo)))
			return errno ? errno : EPIPE;
		if (command->op == OP_RECEIVE && memcmp(message, echo, sizeof(echo)) != 0)
			return EBADMSG;
	}
	return 0;
}

static int run_ping(struct client *client, const struct command *command)
{
	int fd = fd_of(client, command->index);
	char byte = 'x';

	for (uint32_t i = 0; i < command->count; i++) {
		int64_t start = clock_ns();

		if (!write_all(fd, &byte, 1) || !read_all(fd, &byte, 1))
			return errno ? errno : EPIPE;
		hist_add(&client->answer.times, clock_ns() - start, i);
	}
	return 0;
}

static int run_byte(const struct client *client, const struct command *command)
{
	char byte = 'x';

	for (uint32_t i = 0; i < client->count; i++)
		if (client->first + i != command->index && !write_all(client->fds[i], &byte, 1))
			return errno;
	return 0;
}

static int run_close(struct client *client)
{
	for (uint32_t i = 0; i < client->count; i++)
		(void)close(client->fds[i]);
	client->count = 0;
	return 0;
}

static int run_command(struct client *client, const struct command *command)
{
	errno = 0;
	switch (command->op) {
	case OP_OPEN:
		return run_open(client, command);
	case OP_SEND:
	case OP_RECEIVE:
		return run_messages(client, command);
	case OP_PING:
		return run_ping(client, command);
	case OP_BYTE:
		return run_byte(client, command);
	case OP_CLOSE:
		return run_close(client);
	default:
		return EINVAL;
	}
}

static _Noreturn void child_main(int pair)
{
	static struct client client;
	struct command command;

	client.pair = pair;
	raise_descriptor_limit();
	while (read_all(pair, &command, sizeof(command))) {
		bool has_list = command.op == OP_SEND || command.op == OP_RECEIVE;
		uint32_t before = client.count;

		if (has_list &&
		    !read_all(pair, client.indexes, command.count * sizeof(*client.indexes)))
			break;
		client.answer = (struct answer){0};
		client.answer.error = run_command(&client, &command);
		if (!write_all(pair, &client.answer, sizeof(client.answer)))
			break;
		if (command.op == OP_OPEN && client.answer.error == 0 &&
		    !write_all(pair, client.ports + before, command.count * sizeof(*client.ports)))
			break;
	}
	_exit(0);
}

/* ---- The parent. ---- */

int child_start(struct child *child)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	child->pid = fork();
	if (child->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Of the other pairs, too: else their children would never see them end. */
		int own = dup2(pair[1], STDERR_FILENO + 1);

		if (own >= 0)
			(void)close_range((unsigned)own + 1, UINT_MAX, 0);
		child_main(own);
	}
	int error = errno;

	(void)close(pair[1]);
	child->fd = pair[0];
	if (child->pid < 0)
		(void)close(pair[0]);
	return child->pid < 0 ? -error : 0;
}

static int give_command(const struct child *child, const struct command *command)
{
	return write_all(child->fd, command, sizeof(*command)) ? 0 : -1;
}

int child_open(const struct child *child, const struct child_target *to, uint32_t first,
	       uint32_t count)
{
	const struct command command = {.op = OP_OPEN, .index = first, .count = count, .to = *to};

	return give_command(child, &command);
}

static int give_list(const struct child *child, enum op op, const uint32_t *indexes, uint32_t count,
		     uint64_t seed)
{
	const struct command command = {.op = op, .count = count, .seed = seed};

	if (give_command(child, &command) < 0)
		return -1;
	return write_all(child->fd, indexes, count * sizeof(*indexes)) ? 0 : -1;
}

int child_send(const struct child *child, const uint32_t *indexes, uint32_t count, uint64_t seed)
{
	return give_list(child, OP_SEND, indexes, count, seed);
}

int child_receive(const struct child *child, const uint32_t *indexes, uint32_t count, uint64_t seed)
{
	return give_list(child, OP_RECEIVE, indexes, count, seed);
}

int child_ping(const struct child *child, uint32_t index, uint32_t count)
{
	const struct command command = {.op = OP_PING, .index = index, .count = count};

	return give_command(child, &command);
}

int child_byte(const struct child *child, uint32_t index)
{
	const struct command command = {.op = OP_BYTE, .index = index};

	return give_command(child, &command);
}

int child_close(const struct child *child)
{
	const struct command command = {.op = OP_CLOSE};

	return give_command(child, &command);
}

int child_answer(const struct child *child, struct hist *times, uint16_t *ports, uint32_t count)
{
	static struct answer answer; /* too big for a stack; one thread asks */

	if (!read_all(child->fd, &answer, sizeof(answer)))
		return -1;
	if (times)
		hist_join(times, &answer.times);
	if (answer.error == 0 && ports && !read_all(child->fd, ports, count * sizeof(*ports)))
		return -1;
	return answer.error;
}

void child_end(struct child *child)
{
	(void)close(child->fd);
	(void)waitpid(child->pid, NULL, 0);
}
