/*
 * The system's memory at its end in a running stack.  This program's calloc and realloc (linked in by
 * --wrap) fail for objects of one size when asked to: no connection is made then, and all goes well
 * when the segment comes again.
 */
#include "net/stack/half_open.h"
#include "net/stack/sock_int.h"
#include "rig.h"

/* Names that the linker knows. */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* Objects and arrays of these sizes cannot be had; 0: no such. */
static atomic_size_t short_of, short_of_array;
static atomic_uint refused;

static bool is_refused(size_t size, size_t shortage)
{
	if (shortage == 0 || shortage != size)
		return false;
	atomic_fetch_add(&refused, 1);
	return true;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_refused(size, atomic_load(&short_of)) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return is_refused(size, atomic_load(&short_of_array)) ? NULL : __real_realloc(old, size);
}

static bool was_refused(void *arg)
{
	(void)arg;
	return atomic_load(&refused) > 0;
}

/* A connection that meets a lack of objects or arrays of that size at the listener, and is made all the same. */
static void connect_without(atomic_size_t *shortage, size_t size)
{
	struct rig_config config = rig_config_default();
	struct sock_addr at = rig_at("10.0.0.2", 7);
	struct sock *client, *server;
	struct rig rig;
	char byte;

	config.stack.tcp.rto_initial = 20 * US_PER_MS;
	rig_open(&rig, &config);
	struct sock *l = rig_listen(rig.b, "10.0.0.2", 7, 4);

	WEFT_ASSERT(sock_new(rig.a, false, &client) == 0);
	atomic_store(&refused, 0);
	atomic_store(shortage, size);
	(void)sock_connect(client, &at, true);
	CU_ASSERT_TRUE(rig_until(was_refused, NULL, 5000));
	atomic_store(shortage, 0);
	CU_ASSERT_EQUAL(sock_accept(l, false, &server), 0);
	int rc = sock_connect(client, &at, false);

	CU_ASSERT(rc == 0 || rc == -EISCONN);
	CU_ASSERT_EQUAL(rig_send(client, "x", 1), 1);
	CU_ASSERT_EQUAL(rig_recv(server, &byte, 1, 0), 1);
	/* Each refusal is one drop, and nothing else is. */
	CU_ASSERT_EQUAL(rig_stats(rig.b)->drops[DROP_NO_MEM], atomic_load(&refused));
	rig_drop(&client);
	rig_drop(&server);
	rig_drop(&l);
	rig_close(&rig);
}

static void test_no_record(void)
{
	connect_without(&short_of, sizeof(struct half_open));
}

/* The listener's array of records, at its first size. */
static void test_no_array(void)
{
	connect_without(&short_of_array, 16 * sizeof(struct half_open *));
}

static void test_no_child(void)
{
	connect_without(&short_of, sizeof(struct sock));
}

static void test_no_socket(void)
{
	struct rig_config config = rig_config_default();
	struct sock *s = NULL;
	struct rig rig;

	rig_open(&rig, &config);
	atomic_store(&short_of, sizeof(struct sock));
	CU_ASSERT_EQUAL(sock_new(rig.a, false, &s), -ENOMEM);
	atomic_store(&short_of, 0);
	CU_ASSERT_EQUAL(sock_new(rig.a, false, &s), 0);
	CU_ASSERT_EQUAL(rig_stats(rig.a)->sockets, 1);
	rig_drop(&s);
	rig_close(&rig);
}

UNIT_MAIN("nomem", UNIT(no_record), UNIT(no_array), UNIT(no_child), UNIT(no_socket))
