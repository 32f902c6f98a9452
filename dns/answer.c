/*
 * Reading DNS answers; see answer.h.  c-ares expands the names; which records count is decided here: those of
 * the name that was asked for and its aliases, whatever else a server adds (RFC 5452 6).
 */
#include "dns/answer.h"

#include "api/names/hostname.h"
#include <ares.h>
#include <stdbool.h>
#include <string.h>

enum { HEADER_SIZE = 12, QUESTION_REST = 4, RECORD_REST = 10, CLASS_IN = 1 };

/* A message, and how far it was read. */
struct reader {
	const uint8_t *msg;
	int size;
	int at;
};

struct record {
	char owner[WEFT_NAME_SIZE];
	unsigned type;
	unsigned class;
	int data; /* where it begins */
	int data_size;
};

static unsigned get16(const uint8_t *b)
{
	return (unsigned)b[0] << 8 | b[1];
}

/* A name at 'at', as text, into 'name'; '*encoded' gets its length in the message.  0 or EAI_... */
static int expand(const struct reader *r, int at, char *name, long *encoded)
{
	char *text;

	if (at >= r->size)
		return EAI_FAIL;
	int status = ares_expand_name(r->msg + at, r->msg, r->size, &text, encoded);

	if (status != ARES_SUCCESS)
		return status == ARES_ENOMEM ? EAI_MEMORY : EAI_FAIL;
	size_t length = strlen(text);
	int rc = length < WEFT_NAME_SIZE ? 0 : EAI_FAIL;

	if (rc == 0)
		memcpy(name, text, length + 1);
	ares_free_string(text);
	return rc;
}

/* The next record; the reader goes behind it. */
static int next_record(struct reader *r, struct record *record)
{
	long encoded;
	int rc = expand(r, r->at, record->owner, &encoded);

	if (rc != 0)
		return rc;
	if (encoded > r->size - r->at - RECORD_REST)
		return EAI_FAIL;
	const uint8_t *rest = r->msg + r->at + encoded;

	record->type = get16(rest);
	record->class = get16(rest + 2);
	record->data_size = (int)get16(rest + 8);
	record->data = r->at + (int)encoded + RECORD_REST;
	if (record->data_size > r->size - record->data)
		return EAI_FAIL;
	r->at = record->data + record->data_size;
	return 0;
}

/* Reads header and question: 'name' is what was asked, '*count' how many answers there are. */
static int open_message(struct reader *r, char *name, unsigned *count)
{
	long encoded;

	if (r->size < HEADER_SIZE || get16(r->msg + 4) != 1)
		return EAI_FAIL;
	*count = get16(r->msg + 6);
	if (*count > ANSWER_RECORDS_MAX)
		*count = ANSWER_RECORDS_MAX;
	r->at = HEADER_SIZE;
	int rc = expand(r, r->at, name, &encoded);

	if (rc != 0)
		return rc;
	if (encoded > r->size - r->at - QUESTION_REST)
		return EAI_FAIL;
	r->at += (int)encoded + QUESTION_REST;
	return 0;
}

/*
 * Looks through the answers once: '*alias' tells whether 'name' is one, and 'name' becomes what it stands
 * for.  Servers put a chain in order as a rule, not always.
 */
static int follow_alias(struct reader r, unsigned count, char *name, bool *is_alias)
{
	struct record record;
	long encoded;

	*is_alias = false;
	for (unsigned i = 0; i < count; i++) {
		int rc = next_record(&r, &record);

		if (rc != 0)
			return rc;
		if (record.type != ANSWER_TYPE_CNAME || record.class != CLASS_IN ||
		    !hostname_equal(record.owner, name))
			continue;
		*is_alias = true;
		return expand(&r, record.data, name, &encoded);
	}
	return 0;
}

/* Follows all aliases from 'name' on. */
static int follow_aliases(const struct reader *r, unsigned count, char *name)
{
	for (int i = 0; i <= ANSWER_ALIASES_MAX; i++) {
		bool is_alias;
		int rc = follow_alias(*r, count, name, &is_alias);

		if (rc != 0 || !is_alias)
			return rc;
	}
	return EAI_FAIL;
}

/* The next of 'count' records that is of 'name' and 'type'; false with *rc 0 behind the last. */
static bool find_record(struct reader *r, unsigned *count, const char *name, int type,
			struct record *record, int *rc)
{
	*rc = 0;
	while (*count > 0) {
		--*count;
		*rc = next_record(r, record);
		if (*rc != 0)
			return false;
		if (record->type == (unsigned)type && record->class == CLASS_IN &&
		    hostname_equal(record->owner, name))
			return true;
	}
	return false;
}

/* Letters, digits, "-", "_" and dots: nothing that a shell or a terminal would take for more. */
static bool is_host(const char *name)
{
	for (const char *at = name; *at; at++) {
		bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');

		if (!is_letter && (*at < '0' || *at > '9') && !strchr("-_.", *at))
			return false;
	}
	return hostname_is_askable(name);
}

static void add_addr(struct weft_name_addrs *out, int type, const uint8_t *bytes)
{
	bool is_v4 = type == ANSWER_TYPE_A;
	struct weft_name_addr *addr = &out->addrs[out->count++];

	*addr = (struct weft_name_addr){.family = is_v4 ? AF_INET : AF_INET6};
	memcpy(addr->bytes, bytes, is_v4 ? 4 : 16);
}

int answer_addrs(const uint8_t *msg, int size, int type, struct weft_name_addrs *out)
{
	const int addr_size = type == ANSWER_TYPE_A ? 4 : 16;
	struct reader r = {msg, size, 0};
	char name[WEFT_NAME_SIZE];
	struct record record;
	unsigned count;
	bool found = false;
	int rc = open_message(&r, name, &count);

	if (rc == 0)
		rc = follow_aliases(&r, count, name);
	if (rc != 0)
		return rc;
	const unsigned before = out->count;

	while (find_record(&r, &count, name, type, &record, &rc)) {
		if (record.data_size != addr_size)
			rc = EAI_FAIL;
		if (rc != 0)
			break;
		found = true;
		if (out->count < WEFT_NAME_ADDRS_MAX)
			add_addr(out, type, msg + record.data);
	}
	if (rc == 0 && !found)
		rc = EAI_NODATA;
	if (rc == 0 && !is_host(name))
		rc = EAI_FAIL;
	if (rc == 0)
		memcpy(out->canonical, name, strlen(name) + 1);
	else
		out->count = before; /* nothing of a message that is wrong */
	return rc;
}

int answer_name(const uint8_t *msg, int size, char *name)
{
	struct reader r = {msg, size, 0};
	char owner[WEFT_NAME_SIZE];
	struct record record;
	unsigned count;
	long encoded;
	int rc = open_message(&r, owner, &count);

	if (rc == 0)
		rc = follow_aliases(&r, count, owner);
	if (rc != 0)
		return rc;
	if (!find_record(&r, &count, owner, ANSWER_TYPE_PTR, &record, &rc))
		return rc != 0 ? rc : EAI_NODATA;
	rc = expand(&r, record.data, name, &encoded);
	return rc == 0 && !is_host(name) ? EAI_FAIL : rc;
}
