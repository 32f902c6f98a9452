/*
 * The table of an epoll set's items: hashing by address of what is watched, chains, doubled when it is
 * full.  Under the set's lc_epset.
 */
#include "net/stack/epset_int.h"
#include <errno.h>
#include <stdlib.h>

enum { BITS_FIRST = 4, BITS_MAX = 24 };

static uint32_t hash(const struct conn *conn, uint32_t bits)
{
	/* Fibonacci hashing; the addresses are not an adversary's. */
	return (uint32_t)(((uintptr_t)conn * 0x9e3779b97f4a7c15u) >> (64 - bits));
}

struct epset_item *epset_find(struct epset *set, const struct conn *conn, int fd)
{
	struct epset_item *item;

	if (!set->bucket)
		return NULL;
	item = set->bucket[hash(conn, set->bucket_bits)];
	while (item && !(item->conn == conn && (fd < 0 || item->fd == fd)))
		item = item->next;
	return item;
}

void epset_insert(struct epset *set, struct epset_item *item)
{
	struct epset_item **head = &set->bucket[hash(item->conn, set->bucket_bits)];

	item->next = *head;
	*head = item;
	set->count++;
}

void epset_unlink(struct epset *set, struct epset_item *item)
{
	struct epset_item **at = &set->bucket[hash(item->conn, set->bucket_bits)];

	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	set->count--;
}

int epset_grow(struct epset *set)
{
	uint32_t old_size = set->bucket ? 1u << set->bucket_bits : 0;
	uint32_t bits = set->bucket ? set->bucket_bits + 1 : BITS_FIRST;
	struct epset_item **old = set->bucket;

	if (set->count < old_size || bits > BITS_MAX)
		return 0;
	struct epset_item **bucket = calloc((size_t)1 << bits, sizeof(struct epset_item *));

	/* A full table only has longer chains. */
	if (!bucket)
		return old ? 0 : -ENOMEM;
	set->bucket = bucket;
	set->bucket_bits = bits;
	set->count = 0;
	for (uint32_t i = 0; i < old_size; i++) {
		for (struct epset_item *item = old[i], *next; item; item = next) {
			next = item->next;
			epset_insert(set, item);
		}
	}
	free((void *)old);
	return 0;
}

void epset_each(struct epset *set, void (*visit)(struct epset_item *item))
{
	uint32_t size = set->bucket ? 1u << set->bucket_bits : 0;

	for (uint32_t i = 0; i < size; i++)
		for (struct epset_item *item = set->bucket[i]; item; item = item->next)
			visit(item);
}

struct epset_item *epset_any(struct epset *set, uint32_t *at)
{
	uint32_t size = set->bucket ? 1u << set->bucket_bits : 0;

	while (*at < size && !set->bucket[*at])
		++*at;
	return *at < size ? set->bucket[*at] : NULL;
}
