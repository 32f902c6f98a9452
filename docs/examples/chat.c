/*
 * chat - a chat server on weft_poll: what one client writes goes to all, line by line.  One thread.
 *
 *	chat --addr 192.0.2.2/24 --peer 192.0.2.1 &
 *	nc 192.0.2.2 2000
 *
 * The point of it is who waits for whom: nobody.  Sockets are non-blocking, and each client has a queue of
 * lines that it has not taken yet.  A client whose queue is full reads too slowly for this room: what
 * waits for it is thrown away, it is told why, and it has half a minute to read that.  The others
 * never notice but by the message that it left.
 *
 * weft's calls are not interrupted by signals.  The thread that takes them (common.c) shuts the listeners
 * down, which shows as POLLHUP.
 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CLIENTS_MAX = 64,
	LINE_SIZE_MAX = 512,     /* of a client's line; longer ones end the client */
	QUEUE_SIZE = 256 * 1024, /* lines that a client has not taken yet */
	LEAVE_US = 30000000,     /* how long one may take to read why it has to go */
};

struct client {
	unsigned number; /* its name in the room */
	int fd;
	/* Leaving: the queue ends with the reason, then the stream; further lines are not read. */
	bool is_leaving;
	bool has_told;
	int64_t leaves_at;
	/* What came of a line. */
	size_t line_size;
	char line[LINE_SIZE_MAX];
	/* The queue.  At its front may be the rest of a line. */
	size_t size;
	bool has_rest;
	char queue[QUEUE_SIZE];
};

struct room {
	struct app app;
	struct listening listening;
	bool is_full; /* of what accept needs, until somebody leaves */
	unsigned last_number;
	int count;
	struct client *clients[CLIENTS_MAX];
};

/* ---- What clients get. ---- */

/* Throws away the lines that wait, but for the rest of one that has been sent in part. */
static void drop_lines(struct client *client)
{
	const char *end = memchr(client->queue, '\n', client->size);

	client->size = client->has_rest && end ? (size_t)(end - client->queue) + 1 : 0;
}

static void put(struct client *client, const char *text, size_t size)
{
	memcpy(client->queue + client->size, text, size);
	client->size += size;
}

static void say_to_all(struct room *room, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The last that it is told; what the others are told comes by the same words. */
static void dismiss(struct room *room, struct client *client, const char *reason)
{
	char text[100];
	int size = snprintf(text, sizeof(text), "* you have to leave: %s\n", reason);

	client->is_leaving = true;
	client->leaves_at = now_us() + LEAVE_US;
	if (client->size + (size_t)size > QUEUE_SIZE)
		drop_lines(client);
	put(client, text, (size_t)size);
	say_to_all(room, "* %u has to leave: %s\n", client->number, reason);
}

/* Queues a line for everybody.  A queue that is full makes a further line, so this calls itself. */
static void say_to_all(struct room *room, const char *format, ...)
{
	char text[LINE_SIZE_MAX + 100];
	va_list args;
	size_t size;

	va_start(args, format);
	size = (size_t)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (int i = 0; i < room->count; i++) {
		struct client *client = room->clients[i];

		if (client->is_leaving)
			continue;
		if (client->size + size <= QUEUE_SIZE)
			put(client, text, size);
		else
			dismiss(room, client, "it reads too slowly");
	}
}

/* Sends what the socket takes.  False: the connection is over. */
static bool send_queue(struct client *client)
{
	size_t sent = 0;
	ssize_t n = 0;

	while (sent < client->size && n >= 0) {
		n = weft_write(client->fd, client->queue + sent, client->size - sent);
		sent += n > 0 ? (size_t)n : 0;
	}
	if (n < 0 && errno != EAGAIN)
		return false;
	if (sent > 0) {
		client->has_rest = client->queue[sent - 1] != '\n';
		client->size -= sent;
		memmove(client->queue, client->queue + sent, client->size);
	}
	if (client->size > 0 || !client->is_leaving || client->has_told)
		return true;
	/* Closing now, with lines unread, would reset the connection and might cost it the reason. */
	client->has_told = true;
	return weft_shutdown(client->fd, SHUT_WR) == 0;
}

/* ---- What clients say. ---- */

/* Takes the lines in 'bytes'. */
static void take_bytes(struct room *room, struct client *client, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size && !client->is_leaving; i++) {
		if (bytes[i] == '\n') {
			say_to_all(room, "%u: %.*s\n", client->number, (int)client->line_size,
				   client->line);
			client->line_size = 0;
		} else if (client->line_size == LINE_SIZE_MAX) {
			dismiss(room, client, "its line is too long");
		} else {
			client->line[client->line_size++] = bytes[i];
		}
	}
}

/* One read; poll comes back for more.  False: the connection is over. */
static bool read_lines(struct room *room, struct client *client)
{
	char bytes[2048];
	ssize_t n = weft_read(client->fd, bytes, sizeof(bytes));

	if (n > 0)
		take_bytes(room, client, bytes, (size_t)n);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* ---- Coming and going. ---- */

static void add_client(struct room *room, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		(void)weft_close(fd);
		return;
	}
	client->fd = fd;
	client->number = ++room->last_number;
	room->clients[room->count++] = client;
	say_to_all(room, "* %u comes\n", client->number);
}

static void remove_client(struct room *room, int at)
{
	struct client *client = room->clients[at];

	room->clients[at] = room->clients[--room->count];
	room->is_full = false;
	if (!client->is_leaving)
		say_to_all(room, "* %u leaves\n", client->number);
	(void)weft_close(client->fd);
	free(client);
}

/* False: no further one can ever be accepted. */
static bool accept_client(struct room *room, int listener)
{
	int fd = weft_accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd >= 0)
		add_client(room, fd);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		room->is_full = true;
	else if (errno != EAGAIN && errno != ECONNABORTED && errno != EPROTO)
		return false;
	return fd >= 0 || !room->is_full || room->count > 0;
}

/* ---- The loop. ---- */

/* What to wait for: first the clients, then the listeners.  How many that are. */
static nfds_t prepare(const struct room *room, struct pollfd *fds, int *timeout_ms)
{
	int64_t until = INT64_MAX;
	bool has_room = room->count < CLIENTS_MAX && !room->is_full;
	int64_t now = now_us();

	for (int i = 0; i < room->count; i++) {
		const struct client *client = room->clients[i];

		fds[i] = (struct pollfd){.fd = client->fd, .events = POLLIN};
		if (client->size > 0)
			fds[i].events |= POLLOUT;
		if (client->is_leaving && client->leaves_at < until)
			until = client->leaves_at;
	}
	for (int i = 0; i < room->listening.count; i++)
		fds[room->count + i] = (struct pollfd){.fd = room->listening.fds[i],
						       .events = has_room ? POLLIN : 0};
	*timeout_ms = -1;
	if (until != INT64_MAX)
		*timeout_ms = until > now ? (int)((until - now) / 1000) + 1 : 0;
	return (nfds_t)room->count + (nfds_t)room->listening.count;
}

static void serve_clients(struct room *room, const struct pollfd *fds, int count)
{
	/* From the last to the first: removing one moves only those that were served. */
	for (int i = count - 1; i >= 0; i--) {
		struct client *client = room->clients[i];
		bool is_alive = !(fds[i].revents & POLLERR);

		if (is_alive && (fds[i].revents & POLLIN))
			is_alive = read_lines(room, client);
		if (is_alive && client->size > 0)
			is_alive = send_queue(client);
		if (!is_alive || (client->is_leaving && now_us() >= client->leaves_at))
			remove_client(room, i);
	}
}

/* Until a signal comes.  The exit code. */
static int run(struct room *room)
{
	struct pollfd fds[CLIENTS_MAX + LISTENERS_MAX];

	for (;;) {
		int count = room->count;
		int timeout_ms;
		nfds_t fd_count = prepare(room, fds, &timeout_ms);

		if (weft_poll(fds, fd_count, timeout_ms) < 0) {
			app_say_error(&room->app, "poll", errno);
			return EXIT_FAILED;
		}
		serve_clients(room, fds, count);
		for (int i = 0; i < room->listening.count; i++) {
			const struct pollfd *listener = &fds[count + i];

			if ((listener->revents & (POLLHUP | POLLNVAL)) &&
			    !(listener->revents & POLLERR))
				return 0;
			/* The other listener may have filled the room. */
			if ((listener->revents & (POLLIN | POLLERR)) && room->count < CLIENTS_MAX &&
			    !accept_client(room, listener->fd)) {
				app_say_error(&room->app, "accept", errno);
				return EXIT_FAILED;
			}
		}
	}
}

static void close_room(struct room *room)
{
	say_to_all(room, "* the server stops\n");
	for (int i = 0; i < room->count; i++)
		room->clients[i]->is_leaving = true; /* without further words */
	for (int i = room->count - 1; i >= 0; i--) {
		(void)send_queue(room->clients[i]);
		remove_client(room, i);
	}
	for (int i = 0; i < room->listening.count; i++)
		(void)weft_close(room->listening.fds[i]);
}

static void on_signal(void *ctx)
{
	const struct room *room = ctx;

	for (int i = 0; i < room->listening.count; i++)
		(void)weft_shutdown(room->listening.fds[i], SHUT_RD);
}

static int open_room(struct room *room)
{
	struct listening *listening = &room->listening;

	if (listen_open(&room->app, NULL, listening) < 0)
		return -1;
	for (int i = 0; i < listening->count; i++)
		if (weft_fcntl(listening->fds[i], F_SETFL, O_NONBLOCK) < 0) {
			app_say_error(&room->app, "listen", errno);
			return -1;
		}
	return app_signals_start(&room->app, on_signal, room);
}

int main(int argc, char **argv)
{
	static struct room room = {
		.app =
			{
				.name = "chat",
				.usage = "Usage: chat --addr A/PLEN --peer A [options]\n"
					 "What one client writes goes to all.\n",
				.port = 2000,
				.needs_weft = true,
			},
	};
	int rc = EXIT_FAILED;

	app_parse(&room.app, argc, argv);
	if (app_open(&room.app) < 0)
		return EXIT_FAILED;
	if (open_room(&room) == 0) {
		listen_say(&room.app, &room.listening);
		rc = run(&room);
		app_signals_end(&room.app);
	}
	close_room(&room);
	app_close(&room.app);
	return rc;
}
