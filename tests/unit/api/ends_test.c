/*
 * What ends a call that blocks: close, shutdown, and the end of the stack, each against every such call at
 * once, at any moment of it.
 */
#include "blocking.h"

#include "net/base/prng.h"
#include <sched.h>
#include <stdatomic.h>

enum { ROUNDS = 4 };

struct sleeper {
	struct scene *scene;
	const struct blocking *blocking;
	atomic_bool begun;
	atomic_bool is_over;
	ssize_t rc;
	int error;
	pthread_t thread;
};

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;

	atomic_store(&s->begun, true);
	s->rc = s->blocking->call(s->scene);
	s->error = errno;
	atomic_store(&s->is_over, true);
	return NULL;
}

static void start_all(struct sleeper all[BLOCKING], struct scene *scene, struct prng *prng)
{
	for (int i = 0; i < BLOCKING; i++) {
		all[i] = (struct sleeper){.scene = scene, .blocking = &blocking[i]};
		CU_ASSERT_FATAL(thread_start(&all[i].thread, "sleeper", sleeper_main, &all[i]) ==
				0);
	}
	for (int i = 0; i < BLOCKING; i++)
		while (!atomic_load(&all[i].begun))
			(void)sched_yield();
	/* Some are asleep then, and some about to be. */
	for (unsigned i = prng_below(prng, 3); i > 0; i--)
		kit_pause();
}

/* What a call gives: a value, or -1 and one of two errnos. */
struct outcome {
	ssize_t rc;
	int error, other;
};

/* poll and its relatives: anything from 1 on is one value. */
static void join_all(struct sleeper all[BLOCKING], const struct outcome want[SLEEPS + 1])
{
	for (int i = 0; i < BLOCKING; i++) {
		const struct sleeper *s = &all[i];
		const struct outcome *w = &want[s->blocking->kind];

		if (s->blocking->kind == SLEEPS) /* nothing but cancellation ends it */
			CU_ASSERT(pthread_cancel(s->thread) == 0);
		CU_ASSERT(pthread_join(s->thread, NULL) == 0);
		bool is_right = s->blocking->kind == SLEEPS || (s->rc > 0 ? 1 : s->rc) == w->rc;

		if (s->rc == -1 && s->blocking->kind != SLEEPS)
			is_right = is_right && (s->error == w->error || s->error == w->other);
		if (!is_right)
			printf("%s: %zd, %s\n", s->blocking->name, s->rc,
			       strerrorname_np(s->error));
		CU_ASSERT_TRUE(is_right);
	}
}

static bool all_over(const struct sleeper all[BLOCKING])
{
	for (int i = 0; i < BLOCKING; i++)
		if (all[i].blocking->kind != SLEEPS && !atomic_load(&all[i].is_over))
			return false;
	return true;
}

/* A way to end all of them, and what is left to be given back then. */
struct way {
	void (*end)(struct scene *scene, const struct sleeper all[BLOCKING]);
	void (*clean)(struct scene *scene);
	struct outcome want[SLEEPS + 1];
};

static void run(const struct way *way)
{
	struct sleeper all[BLOCKING];
	struct prng prng;

	prng_init(&prng, unit_seed());
	for (int round = 0; round < ROUNDS; round++) {
		struct scene scene;

		open_scene(&scene);
		start_all(all, &scene, &prng);
		way->end(&scene, all);
		join_all(all, way->want);
		way->clean(&scene);
	}
}

/* ---- close: also of a call that begins behind it, for the handle is gone. ---- */

static void close_all(struct scene *s, const struct sleeper all[BLOCKING])
{
	(void)all;
	GIVES(weft_close(s->set), 0);
	GIVES(weft_close(s->fds[0]), 0);
	GIVES(weft_close(s->listener), 0);
	GIVES(weft_close(s->nobody), 0);
	GIVES(weft_close(s->udp), 0);
}

static void close_rest(struct scene *s)
{
	GIVES(weft_close(s->fds[1]), 0);
	(void)close(s->file);
	kit_close(&s->kit);
}

static void test_close(void)
{
	static const struct way way = {
		close_all,
		close_rest,
		{
			[RECEIVES] = {-1, EBADF, EBADF},
			[SENDS] = {-1, EBADF, EBADF},
			[ACCEPTS] = {-1, EBADF, EBADF},
			[CONNECTS] = {-1, EBADF, EBADF},
			[POLLS] = {.rc = 1},
			[SELECTS] = {-1, EBADF, EBADF},
			[WAITS] = {-1, EBADF, EBADF},
		},
	};

	run(&way);
}

/* ---- shutdown: again and again, for a connect that begins behind it connects. ---- */

static void shut_all(struct scene *s, const struct sleeper all[BLOCKING])
{
	weft_time_us deadline = clock_monotonic_us() + 10 * US_PER_S;

	while (!all_over(all) && clock_monotonic_us() < deadline) {
		(void)weft_shutdown(s->fds[0], SHUT_RDWR);
		(void)weft_shutdown(s->listener, SHUT_RD);
		(void)weft_shutdown(s->nobody, SHUT_RDWR);
		(void)weft_shutdown(s->udp, SHUT_RD);
		kit_pause();
	}
	CU_ASSERT_TRUE_FATAL(all_over(all));
}

static void test_shutdown(void)
{
	static const struct way way = {
		shut_all,
		close_scene,
		{
			[RECEIVES] = {.rc = 0},
			[SENDS] = {-1, EPIPE, EPIPE},
			[ACCEPTS] = {-1, EINVAL, EINVAL},
			[CONNECTS] = {-1, ECONNRESET, ECONNRESET},
			[POLLS] = {.rc = 1},
			[SELECTS] = {.rc = 1},
			[WAITS] = {.rc = 1},
		},
	};

	run(&way);
}

/* ---- The stack's end; EBADF: the call began behind it. ---- */

static void close_stacks(struct scene *s, const struct sleeper all[BLOCKING])
{
	(void)all;
	weft_stack_close(s->kit.a);
	weft_stack_close(s->kit.b); /* the listener's */
}

static void close_file(struct scene *s)
{
	(void)close(s->file);
}

static void test_stack_close(void)
{
	static const struct way way = {
		close_stacks,
		close_file,
		{
			[RECEIVES] = {-1, ESHUTDOWN, EBADF},
			[SENDS] = {-1, ESHUTDOWN, EBADF},
			[ACCEPTS] = {-1, ESHUTDOWN, EBADF},
			[CONNECTS] = {-1, ESHUTDOWN, EBADF},
			[POLLS] = {.rc = 1},
			[SELECTS] = {-1, EBADF, EBADF},
			[WAITS] = {-1, ESHUTDOWN, EBADF},
		},
	};

	run(&way);
}

UNIT_MAIN("ends", UNIT(close), UNIT(shutdown), UNIT(stack_close))
