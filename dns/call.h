/*
 * One call of the resolver: a c-ares channel whose sockets are the stack's.  On the thread that asks, from
 * call_open to call_close; no lock, since nothing is shared but the settings.
 */
#ifndef WEFT_DNS_CALL_H
#define WEFT_DNS_CALL_H

#include "dns/settings.h"

struct call {
	struct weft_stack *stack;
	ares_channel channel;
	int64_t deadline_us; /* on CLOCK_MONOTONIC */
	unsigned pending;    /* questions without an answer */
	bool is_shut;        /* the stack is being closed */
};

/* What is done with an answer: 0 or EAI_... */
typedef int call_reader(void *ctx, const uint8_t *msg, int size);

/* A question and what came of it. */
struct call_question {
	struct call *call;
	call_reader *read;
	void *ctx;
	int rc; /* 0 or EAI_... */
};

/* 'first' is the server to begin with.  0, EAI_MEMORY, EAI_FAIL. */
int call_open(struct call *call, struct weft_stack *stack, const struct settings *settings,
	      unsigned first) WARN_UNUSED;
void call_close(struct call *call);

/* Asks; '*question', with 'read' and 'ctx' set, must live until call_wait. */
void call_ask(struct call *call, struct call_question *question, const char *name, int type);

/* Blocks until all questions have their 'rc': an answer, or the time is up, or the stack is closed. */
void call_wait(struct call *call);

#endif
