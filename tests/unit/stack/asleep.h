/* Waiting until threads sleep for a socket. */
#ifndef WEFT_TESTS_ASLEEP_H
#define WEFT_TESTS_ASLEEP_H

#include "net/stack/sock_int.h"
#include "rig.h"

struct asleep {
	struct sock *s;
	unsigned readers, writers;
};

/* Sleepers, whoever leads included, are as many as told, and nobody is on his way. */
static inline bool is_asleep(void *arg)
{
	const struct asleep *a = arg;

	sock_lock(a->s);
	const struct sleepers *readers = &a->s->readers, *writers = &a->s->writers;
	bool is_so = (unsigned)readers->count + readers->is_led == a->readers &&
		     (unsigned)writers->count + writers->is_led == a->writers &&
		     !readers->is_called && !writers->is_called;

	sock_unlock(a->s);
	return is_so;
}

static inline void await_asleep(struct sock *s, unsigned readers, unsigned writers)
{
	struct asleep a = {.s = s, .readers = readers, .writers = writers};

	CU_ASSERT_TRUE_FATAL(rig_until(is_asleep, &a, 10000));
}

#endif
