/*
 * In front of every source that is explored (-include): an atomic operation that orders something is a
 * point where threads may change.  Relaxed ones are none: they are counters, references taken by who
 * has one, and hints; what depends on them is looked at again under a lock.
 */
#ifndef WEFT_TESTS_SCHED_ATOMIC_H
#define WEFT_TESTS_SCHED_ATOMIC_H

#include <stdatomic.h>

void sched_atomic(const volatile void *object);

#define SCHED_ATOMIC(object, order)                                                                \
	((order) == memory_order_relaxed ? (void)0 : sched_atomic(object))

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit

#ifdef __clang__
#define SCHED_BUILTIN(name)                  __c11_atomic_##name
#define SCHED_LOAD(object, order)            __c11_atomic_load(object, order)
#define SCHED_STORE(object, value, order)    __c11_atomic_store(object, value, order)
#define SCHED_EXCHANGE(object, value, order) __c11_atomic_exchange(object, value, order)
#define SCHED_CAS(kind, object, expected, value, order, other)                                     \
	__c11_atomic_compare_exchange_##kind(object, expected, value, order, other)
#else
#define SCHED_BUILTIN(name) __atomic_##name
#define SCHED_LOAD(object, order)                                                                  \
	__extension__({                                                                            \
		__typeof__((void)0, *(object)) sched_value_;                                       \
		__atomic_load((object), &sched_value_, order);                                     \
		sched_value_;                                                                      \
	})
#define SCHED_STORE(object, value, order)                                                          \
	__extension__({                                                                            \
		__typeof__((void)0, *(object)) sched_value_ = (value);                             \
		__atomic_store((object), &sched_value_, order);                                    \
	})
#define SCHED_EXCHANGE(object, value, order)                                                       \
	__extension__({                                                                            \
		__typeof__((void)0, *(object)) sched_value_ = (value);                             \
		__typeof__((void)0, *(object)) sched_old_;                                         \
		__atomic_exchange((object), &sched_value_, &sched_old_, order);                    \
		sched_old_;                                                                        \
	})
#define SCHED_CAS(kind, object, expected, value, order, other)                                     \
	__extension__({                                                                            \
		__typeof__((void)0, *(object)) sched_value_ = (value);                             \
		__atomic_compare_exchange((object), (expected), &sched_value_, 0, order, other);   \
	})
#endif

#define atomic_load_explicit(object, order) (SCHED_ATOMIC(object, order), SCHED_LOAD(object, order))
#define atomic_store_explicit(object, value, order)                                                \
	(SCHED_ATOMIC(object, order), SCHED_STORE(object, value, order))
#define atomic_exchange_explicit(object, value, order)                                             \
	(SCHED_ATOMIC(object, order), SCHED_EXCHANGE(object, value, order))
#define atomic_fetch_add_explicit(object, value, order)                                            \
	(SCHED_ATOMIC(object, order), SCHED_BUILTIN(fetch_add)(object, value, order))
#define atomic_fetch_sub_explicit(object, value, order)                                            \
	(SCHED_ATOMIC(object, order), SCHED_BUILTIN(fetch_sub)(object, value, order))
#define atomic_compare_exchange_strong_explicit(object, expected, value, order, other)             \
	(SCHED_ATOMIC(object, order), SCHED_CAS(strong, object, expected, value, order, other))
#define atomic_compare_exchange_weak_explicit(object, expected, value, order, other)               \
	(SCHED_ATOMIC(object, order), SCHED_CAS(weak, object, expected, value, order, other))

#endif
