/* Surroundings of a call about names; see scene.h.  weft_stack_set_resolver is here, too.  Any thread. */
#include "api/src/scene.h"

#include "api/src/api_ret.h"
#include "api/src/stacks.h"

static struct mutex stackless_mutex = {PTHREAD_MUTEX_INITIALIZER};
static struct names stackless_names; /* stays for the life of the process */
static bool has_stackless GUARDED_BY(stackless_mutex);

static int enter_stackless(struct scene *scene)
{
	int rc = 0;

	mutex_lock(&stackless_mutex);
	if (!has_stackless)
		rc = names_init(&stackless_names, NULL);
	if (rc == 0)
		has_stackless = true;
	mutex_unlock(&stackless_mutex);
	if (rc == 0)
		scene->names = &stackless_names;
	return rc;
}

static void enter_stack(struct scene *scene, struct weft_stack *owner)
{
	const struct stack_config *config = stack_get_config(owner->stack);

	scene->names = &owner->names;
	scene->has_stack = true;
	for (unsigned i = 0; i < config->addr_count && i < SCENE_ADDRS_MAX; i++)
		scene->own[scene->own_count++] =
			(struct order_own){config->addrs[i].addr, config->addrs[i].prefix};
}

static int enter(struct scene *scene, struct weft_stack *stack)
{
	if (handle_is_child())
		return -ENETDOWN;
	struct weft_stack *owner = stacks_enter(stack);
	int rc = 0;

	if (owner)
		enter_stack(scene, owner);
	else
		rc = enter_stackless(scene);
	if (rc == 0)
		names_enter(scene->names);
	if (owner)
		stacks_leave(owner);
	return rc;
}

int scene_enter(struct scene *scene, struct weft_stack *stack)
{
	*scene = (struct scene){.cancel_state = thread_cancel_off()};
	int rc = enter(scene, stack);

	if (rc < 0)
		thread_cancel_restore(scene->cancel_state);
	return rc;
}

void scene_leave(struct scene *scene)
{
	names_leave(scene->names);
	thread_cancel_restore(scene->cancel_state);
}

int weft_stack_set_resolver(struct weft_stack *stack, const struct weft_resolver *resolver)
{
	struct scene scene;

	if (resolver && (!resolver->lookup || !resolver->reverse || !resolver->close))
		return api_ret_int(-EINVAL);
	int rc = scene_enter(&scene, stack);

	if (rc < 0)
		return api_ret_int(rc);
	rc = scene.has_stack ? names_set_resolver(scene.names, resolver) : -ENETDOWN;
	scene_leave(&scene);
	return api_ret_int(rc);
}
