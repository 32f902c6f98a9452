/*
 * System calls: begun at their time in a thread of the bed's, checked when they come back.  The table
 * of calls is here, what each does in job_sock.c, job_io.c, job_opt.c and job_ready.c.
 */
#include "job.h"

#include "net/base/check.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct job_kind kinds[] = {
	{"socket", 3, 3, false, job_prepare_socket, job_run_socket, job_add_fd},
	{"bind", 3, 3, true, job_prepare_addr, job_run_bind, NULL},
	{"listen", 2, 2, true, job_prepare_number, job_run_listen, job_check_listen},
	{"accept", 3, 3, true, job_prepare_addr, job_run_accept, job_add_fd},
	{"accept4", 4, 4, true, job_prepare_addr, job_run_accept, job_add_fd},
	{"connect", 3, 3, true, job_prepare_addr, job_run_connect, NULL},
	{"close", 1, 1, true, job_prepare_none, job_run_close, job_check_close},
	{"shutdown", 2, 2, true, job_prepare_number, job_run_shutdown, NULL},
	{"fcntl", 2, 3, true, job_prepare_fcntl, job_run_fcntl, NULL},
	{"getsockname", 3, 3, true, job_prepare_addr, job_run_getsockname, job_check_addr},
	{"getpeername", 3, 3, true, job_prepare_addr, job_run_getpeername, job_check_addr},
	{"setsockopt", 5, 5, true, job_prepare_setopt, job_run_setopt, NULL},
	{"getsockopt", 5, 5, true, job_prepare_getopt, job_run_getopt, job_check_getopt},
	{"read", 3, 3, true, job_prepare_read, job_run_read, job_check_read},
	{"readv", 3, 3, true, job_prepare_read, job_run_read, job_check_read},
	{"recv", 4, 4, true, job_prepare_read, job_run_read, job_check_read},
	{"recvfrom", 6, 6, true, job_prepare_read, job_run_read, job_check_read},
	{"recvmsg", 3, 3, true, job_prepare_msg, job_run_msg, job_check_msg},
	{"write", 3, 3, true, job_prepare_write, job_run_write, job_check_write},
	{"writev", 3, 3, true, job_prepare_write, job_run_write, job_check_write},
	{"send", 4, 4, true, job_prepare_write, job_run_write, job_check_write},
	{"sendto", 6, 6, true, job_prepare_write, job_run_write, job_check_write},
	{"sendmsg", 3, 3, true, job_prepare_msg, job_run_msg, job_check_msg},
	{"ioctl", 3, 3, true, job_prepare_ioctl, job_run_ioctl, job_check_ioctl},
	{"sockatmark", 1, 1, true, job_prepare_none, job_run_sockatmark, NULL},
	{"poll", 3, 3, false, job_prepare_poll, job_run_poll, job_check_poll},
	{"epoll_create", 1, 1, false, job_prepare_set, job_run_set, job_add_set},
	{"epoll_create1", 1, 1, false, job_prepare_set, job_run_set, job_add_set},
	{"epoll_ctl", 4, 4, true, job_prepare_epoll_ctl, job_run_epoll_ctl, NULL},
	{"epoll_wait", 4, 4, true, job_prepare_epoll_wait, job_run_epoll_wait,
	 job_check_epoll_wait},
	/* Known, but not in weft. */
	{"pipe", 0, 8, false, NULL, NULL, NULL},
	{"splice", 0, 8, false, NULL, NULL, NULL},
	{"sendfile", 0, 8, false, NULL, NULL, NULL},
	{"open", 0, 8, false, NULL, NULL, NULL},
};

const struct job_kind *job_kind_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

bool job_fail(struct drill_job *job, const char *what)
{
	return drill_fail(job->drill, job->event->line, "%s\n    in       %s", what,
			  job->event->call.text);
}

bool job_unsupported(struct drill_job *job, const char *what)
{
	return drill_unsupported(job->drill, job->event->line, "%s: %s is not supported",
				 job->event->call.name, what);
}

bool job_number(struct drill_job *job, const struct expr *e, const char *what, int64_t *value)
{
	int64_t left = 0, right = 0;
	char text[120];

	if (e->kind == EX_INT) {
		*value = e->number;
		return true;
	}
	if (e->kind == EX_WORD && symbol_find(e->text, value))
		return true;
	if (e->kind == EX_OR) {
		if (!job_number(job, e->first, what, &left) ||
		    !job_number(job, e->first->next, what, &right))
			return false;
		*value = left | right;
		return true;
	}
	if (e->kind == EX_WORD)
		(void)snprintf(text, sizeof(text), "unknown name %s", e->text);
	else
		(void)snprintf(text, sizeof(text), "%s is not a number", what);
	return job_fail(job, text);
}

struct drill_fd *calls_fd(struct drill *drill, int64_t script)
{
	for (unsigned i = drill->fd_count; i > 0; i--)
		if (drill->fds[i - 1].script == script && drill->fds[i - 1].is_open)
			return &drill->fds[i - 1];
	return NULL;
}

static void run_job(struct bed_call *call)
{
	struct drill_job *job = (struct drill_job *)(void *)call;

	job->result = job->kind->run(job);
	job->error = errno;
}

/* ---- Results. ---- */

static void print_result(const struct drill_job *job, char *text, size_t size)
{
	if (job->result >= 0)
		(void)snprintf(text, size, "%lld", (long long)job->result);
	else
		(void)snprintf(text, size, "%lld %s", (long long)job->result,
			       strerrorname_np(job->error) ? strerrorname_np(job->error) : "?");
}

/* Whether what came back is what the script says.  Handles have numbers of the script's own. */
static bool is_expected(const struct drill_job *job)
{
	const struct call_spec *spec = &job->event->call;
	const char *error = strerrorname_np(job->error);

	if (spec->result->kind == EX_ELLIPSIS)
		return true;
	if ((job->kind->check == job_add_fd || job->kind->check == job_add_set) &&
	    spec->result->number >= 0)
		return job->result >= 0;
	if (spec->result->number != job->result)
		return false;
	if (!spec->error || job->result >= 0)
		return true;
	if (strcmp(spec->error, "EWOULDBLOCK") == 0)
		return job->error == EWOULDBLOCK;
	return error && strcmp(spec->error, error) == 0;
}

static bool check_time(struct drill_job *job)
{
	struct drill *drill = job->drill;
	int64_t at = job->call.done_at - drill->start;
	int64_t off = at - job->due_us;

	if (!job->event->call.is_blocking ||
	    (off <= drill->peer.tolerance_us && off >= -drill->peer.tolerance_us))
		return true;
	return drill_fail(drill, job->event->line,
			  "the call came back at another time\n"
			  "    expected %.6f  %s\n    seen     %.6f",
			  (double)job->due_us / 1e6, job->event->call.text, (double)at / 1e6);
}

static bool check_done(struct drill_job *job)
{
	struct drill *drill = job->drill;
	char text[80];

	job->is_checked = true;
	print_result(job, text, sizeof(text));
	if (drill->params->is_verbose)
		printf("%.6f %s   [%s]\n", (double)drill_now(drill) / 1e6, job->event->call.text,
		       text);
	if (!is_expected(job))
		return drill_fail(drill, job->event->line,
				  "result differs\n    expected %s\n    seen     %s",
				  job->event->call.text, text);
	return check_time(job) && (!job->kind->check || job->kind->check(job));
}

bool calls_check(struct drill *drill)
{
	int64_t now = drill_now(drill);

	for (struct drill_job *job = drill->jobs; job; job = job->next) {
		if (job->is_checked)
			continue;
		if (job->call.is_done && !check_done(job))
			return false;
		if (!job->call.is_done && now > job->due_us + drill->peer.tolerance_us)
			return drill_fail(drill, job->event->line,
					  "the call still blocks at %.6f\n    expected %s",
					  (double)now / 1e6, job->event->call.text);
	}
	return true;
}

int64_t calls_end_us(const struct drill *drill, int64_t now)
{
	for (const struct drill_job *job = drill->jobs; job; job = job->next)
		if (!job->is_checked && job->due_us + drill->peer.tolerance_us > now)
			now = job->due_us + drill->peer.tolerance_us;
	return now;
}

/* ---- Beginning. ---- */

static bool read_args(struct drill_job *job)
{
	const struct call_spec *spec = &job->event->call;
	char text[100];
	int64_t fd = -1;

	for (const struct expr *e = spec->args; e; e = e->next) {
		if (job->arg_count < JOB_ARGS_MAX)
			job->arg[job->arg_count] = e;
		job->arg_count++;
	}
	if (job->arg_count < job->kind->args_min || job->arg_count > job->kind->args_max) {
		(void)snprintf(text, sizeof(text), "%s with %u arguments", spec->name,
			       job->arg_count);
		return job_fail(job, text);
	}
	if (!job->kind->run)
		return job_unsupported(job, "the call, which weft does not have,");
	if (!job->kind->has_fd)
		return true;
	if (!job_number(job, job->arg[0], "the descriptor", &fd))
		return false;
	job->fd = calls_fd(job->drill, fd);
	job->live = job->fd ? job->fd->live : -1;
	return true;
}

bool calls_begin(struct drill *drill, const struct event *event)
{
	struct drill_job *job = calloc(1, sizeof(*job));

	WEFT_ASSERT(job);
	job->drill = drill;
	job->event = event;
	job->kind = job_kind_find(event->call.name);
	job->is_checked = true; /* until it runs */
	job->due_us = event->call.end_us + (event->is_relative ? drill->base_us : 0);
	struct drill_job **at = &drill->jobs;

	while (*at)
		at = &(*at)->next;
	*at = job;
	if (!job->kind)
		return drill_unsupported(drill, event->line, "unknown system call %s",
					 event->call.name);
	if (!read_args(job) || !job->kind->prepare(job))
		return false;
	job->is_checked = false;
	job->call.run = run_job;
	bed_call(drill->bed, &job->call);
	if (!bed_settle(drill->bed))
		return drill_fail(drill, event->line, "the stack does not become quiet");
	if (!job->call.is_done && !event->call.is_blocking)
		return drill_fail(drill, event->line,
				  "the call blocks, and has no end time\n    expected %s",
				  event->call.text);
	return calls_check(drill);
}

void calls_free(struct drill *drill)
{
	while (drill->jobs) {
		struct drill_job *job = drill->jobs;

		drill->jobs = job->next;
		free(job->bytes);
		free(job);
	}
}
