/*
 * Contracts.  An assertion states what a caller inside weft must guarantee; it stays on in every
 * build.  Bytes from the wire never trip one: they are parsed, and refused with a drop reason.
 */
#ifndef WEFT_BASE_CHECK_H
#define WEFT_BASE_CHECK_H

#include <assert.h> /* static_assert */

/* Reports the broken contract on stderr and aborts. */
_Noreturn void weft_assert_failed(const char *expr, const char *file, int line);

#define WEFT_ASSERT(expr)                                                                          \
	(__builtin_expect(!!(expr), 1) ? (void)0 : weft_assert_failed(#expr, __FILE__, __LINE__))

/* A branch that no caller may reach. */
#define WEFT_UNREACHABLE(what) weft_assert_failed(what, __FILE__, __LINE__)

#define WARN_UNUSED __attribute__((warn_unused_result))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The structure that contains 'member' at address 'ptr'. */
#define CONTAINER_OF(ptr, type, member)                                                            \
	((type *)(void *)((char *)(ptr) - __builtin_offsetof(type, member)))

#endif
