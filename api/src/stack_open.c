/*
 * weft_stack_open and weft_stack_close.  Any thread; both may take a while (netlink, threads that
 * start and end).
 *
 * Devices stand on each other like this, top first; who is above owns who is below:
 *
 *	stack -> capture -> fault -> the program's device, or a TUN
 *
 * so that a capture shows what the stack saw.
 */
#include "api/src/api_ret.h"
#include "api/src/config.h"
#include "api/src/stacks.h"
#include "net/base/sync.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opens or takes the lowest device.  NULL with errno; a descriptor that was given is closed then. */
static struct weft_dev *open_lowest(const struct weft_config *config, const struct config_why *why)
{
	const struct weft_tun_config tun = {
		.name = config->tun_name,
		.fd = config->tun_fd > 0 ? config->tun_fd : -1,
		.mtu = config->mtu,
		.no_offload = config->no_offload || config->faults,
		.peer4 = config->peer,
		.addr4 = config->addr,
		.peer6 = config->peer6,
		.addr6 = config->addr6,
		.queues = config->queues,
	};

	if (config->dev) {
		if (config->mtu)
			config->dev->mtu = config->mtu;
		return config->dev;
	}
	struct weft_dev *dev = weft_dev_tun(&tun, why->text, why->size);
	if (!dev && tun.fd >= 0) {
		int error = errno;
		(void)close(tun.fd);
		(void)api_ret(-error);
	}
	return dev;
}

/* Puts 'upper' in the place of '*dev', which is closed when there is none. */
static int stack_up(struct weft_dev **dev, struct weft_dev *upper, const char *what,
		    const struct config_why *why)
{
	int error = errno;

	if (!upper) {
		(*dev)->close(*dev);
		return config_fail(why, -error, "%s: %s", what, strerror(error));
	}
	*dev = upper;
	return 0;
}

/* The device with everything on it.  0 or -errno; nothing is left open then. */
static int open_device(const struct weft_config *config, const struct config_why *why,
		       struct weft_dev **dev)
{
	int rc = 0;

	*dev = open_lowest(config, why);
	if (!*dev)
		return -errno;
	if (config->faults) {
		struct weft_fault in = *config->faults;

		in.seed++; /* the directions are independent */
		rc = stack_up(dev, weft_dev_fault(*dev, config->faults, &in), "faults", why);
	}
	if (rc == 0 && config->capture)
		rc = stack_up(dev, weft_dev_capture(*dev, config->capture), config->capture, why);
	return rc;
}

/* What a failed open owns already. */
static void drop_device(const struct weft_config *config)
{
	if (config->dev && config->dev->close)
		config->dev->close(config->dev);
	if (config->tun_fd > 0)
		(void)close(config->tun_fd);
}

static int open_stack(const struct weft_config *config, const struct config_why *why,
		      struct weft_stack *stack)
{
	struct stack_config read;
	int rc = config_read(config, &read, why);

	if (rc < 0) {
		drop_device(config);
		return rc;
	}
	rc = open_device(config, why, &read.dev);
	if (rc < 0)
		return rc;
	rc = names_init(&stack->names, config->hosts_file);
	if (rc < 0) {
		read.dev->close(read.dev);
		return config_fail(why, rc, "out of memory");
	}
	rc = stack_new(&stack->stack, &read);
	if (rc < 0) {
		names_fini(&stack->names);
		read.dev->close(read.dev);
		return config_fail(why, rc, "stack: %s%s", strerror(-rc),
				   rc == -ENOMEM && config->buf_bytes_max
					   ? " (or buf_bytes_max is too small)"
					   : "");
	}
	return 0;
}

static struct weft_stack *do_open(const struct weft_config *config, const struct config_why *why)
{
	struct weft_stack *stack = calloc(1, sizeof(*stack));
	if (!stack) {
		drop_device(config);
		return api_ret_null(config_fail(why, -ENOMEM, "out of memory"));
	}
	int rc = stacks_watch_forks();
	if (rc < 0) {
		drop_device(config);
		(void)config_fail(why, rc, "in the child of a fork, or out of memory");
	} else {
		rc = open_stack(config, why, stack);
	}
	if (rc < 0) {
		free(stack);
		return api_ret_null(rc);
	}
	stacks_add(stack);
	return stack;
}

struct weft_stack *weft_stack_open(const struct weft_config *config, char *why, size_t why_size)
{
	const struct config_why reason = {why, why ? why_size : 0};

	if (!config)
		return api_ret_null(config_fail(&reason, -EINVAL, "no config"));
	/* Half the system calls of an open are cancellation points, and nobody would undo the rest. */
	int cancel = thread_cancel_off();
	struct weft_stack *stack = do_open(config, &reason);

	thread_cancel_restore(cancel);
	return stack;
}

/*
 * Nobody can reach the stack's sockets any more after the handles are gone; calls that are under
 * way hold references of their own, and stack_free waits for them.  A call that is about to install
 * a handle (weft_accept) finds the owner closed.  A resolver's calls fail from then on; the last one of
 * weft_getaddrinfo is waited for in names_fini.
 */
void weft_stack_close(struct weft_stack *stack)
{
	uint32_t index = 0;
	struct conn *conn;

	if (!stack || handle_is_child())
		return;
	int cancel = thread_cancel_off();

	stacks_remove(stack);
	handle_owner_close(&stack->owner);
	while ((conn = handle_take_next(&stack->owner, &index)) != NULL)
		proto_put(&conn);
	stack_free(stack->stack);
	names_fini(&stack->names);
	free(stack);
	thread_cancel_restore(cancel);
}
