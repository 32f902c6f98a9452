/*
 * A DNS server for tests, on UDP and TCP sockets of a stack: threads of its own, and names whose answers are
 * as wrong as their names say.
 */
#ifndef WEFT_TESTS_DNS_SERVER_H
#define WEFT_TESTS_DNS_SERVER_H

#include "../api/kit.h"
#include "message.h"
#include <stdatomic.h>

struct server {
	int udp, tcp;
	pthread_t udp_thread, tcp_thread;
	atomic_uint asked; /* questions that came */
	atomic_uint asked_tcp;
};

/* A question, and where the answers go. */
struct server_ask {
	struct server *server;
	unsigned id, type;
	char name[256];
	bool is_tcp;
	int fd;
	struct sockaddr_storage from;
	socklen_t from_len;
};

static inline bool server_read(struct server_ask *ask, const uint8_t *bytes, size_t size)
{
	size_t at = 12, length = 0;

	if (size < 17)
		return false;
	ask->id = (unsigned)bytes[0] << 8 | bytes[1];
	while (at < size && bytes[at]) {
		size_t label = bytes[at++];

		if (at + label >= size || length + label + 2 > sizeof(ask->name))
			return false;
		if (length)
			ask->name[length++] = '.';
		memcpy(ask->name + length, bytes + at, label);
		length += label;
		at += label;
	}
	ask->name[length] = '\0';
	if (at + 5 > size)
		return false;
	ask->type = (unsigned)bytes[at + 1] << 8 | bytes[at + 2];
	return true;
}

static inline void server_send(const struct server_ask *ask, const struct message *m)
{
	uint8_t prefix[2] = {(uint8_t)(m->size >> 8), (uint8_t)m->size};

	if (!ask->is_tcp) {
		(void)weft_sendto(ask->fd, m->bytes, m->size, 0,
				  (const struct sockaddr *)(const void *)&ask->from, ask->from_len);
		return;
	}
	(void)weft_send(ask->fd, prefix, 2, MSG_MORE);
	(void)weft_send(ask->fd, m->bytes, m->size, 0);
}

static inline void server_rcode(struct message *m, unsigned rcode)
{
	m->bytes[3] = (uint8_t)((m->bytes[3] & 0xf0) | rcode);
}

/* The address of 'owner' of the type that was asked for. */
static inline void server_addr(const struct server_ask *ask, struct message *m, const char *owner)
{
	message_addr(m, owner, ask->type == TYPE_AAAA ? "2001:db8::10" : "192.0.2.10");
}

/* Answers that come before the right one. */
static inline void server_hostile(const struct server_ask *ask, struct message *m)
{
	const char *name = ask->name;

	message_begin(m, ask->id, name, ask->type);
	if (strcmp(name, "wrong-id.example") == 0) {
		message_begin(m, ask->id ^ 1, name, ask->type);
		message_addr(m, name, ask->type == TYPE_AAAA ? "2001:db8::66" : "192.0.2.66");
		server_send(ask, m);
	} else if (strcmp(name, "wrong-name.example") == 0) {
		message_begin(m, ask->id, "other.example", ask->type);
		message_addr(m, "other.example", "192.0.2.66");
		server_send(ask, m);
	} else if (strcmp(name, "short.example") == 0) {
		m->size = 0;
		server_send(ask, m);
		m->size = 7;
		server_send(ask, m);
	} else if (strcmp(name, "twice.example") == 0) {
		server_addr(ask, m, name);
		server_send(ask, m);
	}
	message_begin(m, ask->id, name, ask->type);
}

static inline void server_many(const struct server_ask *ask, struct message *m)
{
	if (!ask->is_tcp)
		m->bytes[2] |= 2; /* TC */
	for (int i = 0; ask->is_tcp && ask->type == TYPE_A && i <= WEFT_NAME_ADDRS_MAX; i++)
		message_addr(m, ask->name, "192.0.2.10");
}

static inline void server_reverse(const struct server_ask *ask, struct message *m)
{
	if (strcmp(ask->name, "10.2.0.192.in-addr.arpa") == 0)
		message_name(m, ask->name, TYPE_PTR, "host.example");
	else if (strncmp(ask->name, "0.1.0.0.", 8) == 0 &&
		 strstr(ask->name, ".8.b.d.0.1.0.0.2.ip6"))
		message_name(m, ask->name, TYPE_PTR, "host6.example");
	else
		server_rcode(m, RCODE_NXDOMAIN);
}

/* The right answer, or the one that its name says. */
static inline void server_fill(const struct server_ask *ask, struct message *m)
{
	const char *name = ask->name;

	if (ask->type == TYPE_PTR) {
		server_reverse(ask, m);
	} else if (strcmp(name, "four.example") == 0) {
		if (ask->type == TYPE_A)
			server_addr(ask, m, name);
	} else if (strncmp(name, "empty", 5) == 0) {
		return;
	} else if (strcmp(name, "alias.example") == 0) {
		message_name(m, name, TYPE_CNAME, "second.example");
		message_name(m, "second.example", TYPE_CNAME, "real.example");
		server_addr(ask, m, "real.example");
	} else if (strcmp(name, "circle.example") == 0) {
		message_name(m, name, TYPE_CNAME, name);
	} else if (strcmp(name, "many.example") == 0) {
		server_many(ask, m);
	} else if (strcmp(name, "junk.example") == 0) {
		message_record(m, name, ask->type, 1000);
	} else if (strncmp(name, "fail.", 5) == 0) {
		server_rcode(m, RCODE_SERVFAIL);
	} else if (strcmp(name, "refused.example") == 0) {
		server_rcode(m, RCODE_REFUSED);
	} else if (strstr(name, ".example") && strncmp(name, "nx", 2) != 0) {
		server_addr(ask, m, name);
	} else {
		server_rcode(m, RCODE_NXDOMAIN);
	}
}

static inline void server_answer(struct server_ask *ask)
{
	struct message *m = malloc(sizeof(*m));
	unsigned number = atomic_fetch_add(&ask->server->asked, 1);

	CU_ASSERT_FATAL(m != NULL);
	if (ask->is_tcp)
		atomic_fetch_add(&ask->server->asked_tcp, 1);
	bool is_silent = strncmp(ask->name, "silent.", 7) == 0 ||
			 (strncmp(ask->name, "slow6.", 6) == 0 && ask->type == TYPE_AAAA) ||
			 (strncmp(ask->name, "lost.", 5) == 0 && number < 2);

	if (!is_silent) {
		server_hostile(ask, m);
		server_fill(ask, m);
		server_send(ask, m);
	}
	free(m);
}

static inline void *server_run_udp(void *arg)
{
	struct server *server = arg;
	uint8_t bytes[1024];

	for (;;) {
		struct server_ask ask = {.server = server, .fd = server->udp};

		ask.from_len = sizeof(ask.from);
		ssize_t n = weft_recvfrom(server->udp, bytes, sizeof(bytes), 0,
					  (struct sockaddr *)(void *)&ask.from, &ask.from_len);
		if (n < 0 && errno != ECONNREFUSED)
			return NULL;
		if (n > 0 && server_read(&ask, bytes, (size_t)n))
			server_answer(&ask);
	}
}

static inline void server_serve_tcp(struct server *server, int fd)
{
	struct server_ask ask = {.server = server, .fd = fd, .is_tcp = true};
	uint8_t bytes[1024];

	while (weft_recv(fd, bytes, 2, MSG_WAITALL) == 2) {
		size_t size = (size_t)bytes[0] << 8 | bytes[1];

		if (size > sizeof(bytes) ||
		    weft_recv(fd, bytes, size, MSG_WAITALL) != (ssize_t)size)
			break;
		if (server_read(&ask, bytes, size))
			server_answer(&ask);
	}
	(void)weft_close(fd);
}

static inline void *server_run_tcp(void *arg)
{
	struct server *server = arg;
	int fd;

	while ((fd = weft_accept(server->tcp, NULL, NULL)) >= 0)
		server_serve_tcp(server, fd);
	return NULL;
}

/* On all addresses of 'stack', port 53. */
static inline void server_start(struct server *server, struct weft_stack *stack)
{
	struct kit_addr any = kit_addr("::", 53);

	atomic_init(&server->asked, 0);
	atomic_init(&server->asked_tcp, 0);
	server->udp = weft_socket(stack, AF_INET6, SOCK_DGRAM, 0);
	GIVES(weft_bind(server->udp, kit_sa(&any), any.len), 0);
	server->tcp = kit_listener(stack, "::", 53, 64);
	CU_ASSERT_FATAL(thread_start(&server->udp_thread, "dns-udp", server_run_udp, server) == 0);
	CU_ASSERT_FATAL(thread_start(&server->tcp_thread, "dns-tcp", server_run_tcp, server) == 0);
}

static inline void server_stop(struct server *server)
{
	GIVES(weft_close(server->udp), 0);
	GIVES(weft_close(server->tcp), 0);
	thread_join(server->udp_thread);
	thread_join(server->tcp_thread);
}

#endif
