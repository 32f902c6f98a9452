/* Writing DNS messages, right and wrong ones, for the tests of the resolver. */
#ifndef WEFT_TESTS_DNS_MESSAGE_H
#define WEFT_TESTS_DNS_MESSAGE_H

#include "unit.h"
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_PTR = 12, TYPE_AAAA = 28, MESSAGE_MAX = 4096 };

enum { RCODE_OK = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_REFUSED = 5 };

struct message {
	size_t size;
	uint8_t bytes[MESSAGE_MAX];
};

static inline void message_put(struct message *m, const void *bytes, size_t size)
{
	CU_ASSERT_FATAL(m->size + size <= sizeof(m->bytes));
	memcpy(m->bytes + m->size, bytes, size);
	m->size += size;
}

static inline void message_put16(struct message *m, unsigned value)
{
	const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	message_put(m, bytes, sizeof(bytes));
}

static inline void message_put_name(struct message *m, const char *name)
{
	while (*name) {
		uint8_t length = (uint8_t)strcspn(name, ".");

		message_put(m, &length, 1);
		message_put(m, name, length);
		name += length + (name[length] == '.');
	}
	message_put(m, "", 1);
}

/* Header and question of an answer. */
static inline void message_begin(struct message *m, unsigned id, const char *name, unsigned type)
{
	m->size = 0;
	message_put16(m, id);
	message_put16(m, 0x8180);
	message_put16(m, 1);
	message_put16(m, 0);
	message_put16(m, 0);
	message_put16(m, 0);
	message_put_name(m, name);
	message_put16(m, type);
	message_put16(m, 1);
}

/* A record in front of its data; counts it. */
static inline void message_record(struct message *m, const char *owner, unsigned type,
				  unsigned data_size)
{
	unsigned count = (unsigned)m->bytes[6] << 8 | m->bytes[7];

	count++;
	m->bytes[6] = (uint8_t)(count >> 8);
	m->bytes[7] = (uint8_t)count;
	message_put_name(m, owner);
	message_put16(m, type);
	message_put16(m, 1);
	message_put16(m, 0);
	message_put16(m, 60);
	message_put16(m, data_size);
}

static inline void message_addr(struct message *m, const char *owner, const char *text)
{
	uint8_t bytes[16];
	bool is_v6 = strchr(text, ':');

	CU_ASSERT_FATAL(inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes) == 1);
	message_record(m, owner, is_v6 ? TYPE_AAAA : TYPE_A, is_v6 ? 16 : 4);
	message_put(m, bytes, is_v6 ? 16 : 4);
}

/* A CNAME or PTR record. */
static inline void message_name(struct message *m, const char *owner, unsigned type,
				const char *target)
{
	message_record(m, owner, type, (unsigned)strlen(target) + 2);
	message_put_name(m, target);
}

#endif
