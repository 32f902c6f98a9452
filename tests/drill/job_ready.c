/*
 * poll and epoll; see job.h.  Descriptors are the script's numbers; what came back is compared with what the
 * script says: the same events, no more and no less.
 */
#include "job.h"

#include "net/base/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READY_MAX = 16, NO_HANDLE = 1 };

/* The member 'name' of a struct, or NULL. */
static const struct expr *member(const struct expr *e, const char *name)
{
	for (e = e->first; e; e = e->next)
		if (e->field && strcmp(e->field, name) == 0)
			return e;
	return NULL;
}

static bool member_number(struct drill_job *job, const struct expr *e, const char *name,
			  int64_t *value)
{
	const struct expr *m = member(e, name);
	char text[60];

	if (m)
		return job_number(job, m, name, value);
	(void)snprintf(text, sizeof(text), "the struct has no %s", name);
	return job_fail(job, text);
}

/* "POLLIN|POLLHUP"; the names of epoll's bits are the same but for the letter in front. */
static const char *events_text(uint32_t events, char *text, size_t size)
{
	static const char *const names[] = {"IN",     "PRI",    "OUT",    "ERR",    "HUP", "NVAL",
					    "RDNORM", "RDBAND", "WRNORM", "WRBAND", "MSG", "0x800",
					    "0x1000", "RDHUP",  "0x4000", "0x8000"};
	size_t at = 0;

	(void)snprintf(text, size, "0");
	for (unsigned i = 0; i < ARRAY_SIZE(names) && at < size; i++)
		if (events >> i & 1)
			at += (size_t)snprintf(text + at, size - at, "%s%s", at > 0 ? "|" : "",
					       names[i]);
	return text;
}

static bool compare(struct drill_job *job, int64_t fd, uint32_t expected, uint32_t seen)
{
	char left[120], right[120], text[300];

	if (expected == seen)
		return true;
	(void)snprintf(text, sizeof(text), "events of %lld differ: expected %s, seen %s",
		       (long long)fd, events_text(expected, left, sizeof(left)),
		       events_text(seen, right, sizeof(right)));
	return job_fail(job, text);
}

/* ---- poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 100) = 1 ---- */

static struct pollfd *polled(const struct drill_job *job)
{
	return (struct pollfd *)(void *)job->bytes;
}

static bool add_polled(struct drill_job *job, const struct expr *e, struct pollfd *p)
{
	int64_t events = 0, fd = 0;

	if (e->kind != EX_STRUCT)
		return job_fail(job, "expected {fd=N, events=..., revents=...}");
	if (!member_number(job, e, "fd", &fd) || !member_number(job, e, "events", &events))
		return false;
	const struct drill_fd *known = calls_fd(job->drill, fd);

	*p = (struct pollfd){.fd = known ? known->live : NO_HANDLE, .events = (short)events};
	if (fd < 0)
		p->fd = -1;
	return true;
}

bool job_prepare_poll(struct drill_job *job)
{
	const struct expr *e = job->arg[0];
	int64_t count = 0, i = 0;

	if (e->kind != EX_ARRAY)
		return job_fail(job, "expected [{fd=N, events=..., revents=...}, ...]");
	job->bytes = calloc(READY_MAX, sizeof(struct pollfd));
	WEFT_ASSERT(job->bytes);
	for (e = e->first; e; e = e->next, i++)
		if (i == READY_MAX || !add_polled(job, e, &polled(job)[i]))
			return i < READY_MAX ? false : job_fail(job, "too many descriptors");
	if (!job_number(job, job->arg[1], "the number of descriptors", &count) ||
	    !job_number(job, job->arg[2], "the timeout", &job->number[2]))
		return false;
	job->number[1] = count;
	return count == i || job_fail(job, "that are not so many descriptors");
}

int64_t job_run_poll(struct drill_job *job)
{
	return weft_poll(polled(job), (nfds_t)job->number[1], (int)job->number[2]);
}

/* revents that are not said are not compared. */
bool job_check_poll(struct drill_job *job)
{
	const struct pollfd *p = polled(job);
	int64_t fd = 0, revents = 0;

	for (const struct expr *e = job->arg[0]->first; e; e = e->next, p++)
		if (member(e, "revents") &&
		    (!member_number(job, e, "fd", &fd) ||
		     !member_number(job, e, "revents", &revents) ||
		     !compare(job, fd, (uint32_t)revents, (uint16_t)p->revents)))
			return false;
	return true;
}

/* ---- epoll_create(1) = 5 ---- */

bool job_prepare_set(struct drill_job *job)
{
	return job_number(job, job->arg[0], "the argument", &job->number[0]);
}

int64_t job_run_set(struct drill_job *job)
{
	bool has_flags = strcmp(job->kind->name, "epoll_create1") == 0;

	return weft_epoll_create1(bed_stack(job->drill->bed), has_flags ? (int)job->number[0] : 0);
}

/* TCP_INFO in %{ }% is still that of a socket. */
bool job_add_set(struct drill_job *job)
{
	struct drill_fd *info_fd = job->drill->info_fd;
	bool is_good = job_add_fd(job);

	job->drill->info_fd = info_fd;
	return is_good;
}

/* ---- epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4}) = 0 ---- */

/* What an event carries: the number that stands for it in the script. */
static bool data_number(struct drill_job *job, const struct expr *e, int64_t *value)
{
	static const char *const names[] = {"fd", "u32", "u64", "ptr"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (member(e, names[i]))
			return member_number(job, e, names[i], value);
	return job_fail(job, "the struct has none of fd, u32, u64, ptr");
}

static struct epoll_event *epolled(const struct drill_job *job)
{
	return (struct epoll_event *)(void *)job->bytes;
}

bool job_prepare_epoll_ctl(struct drill_job *job)
{
	int64_t events = 0, data = 0, fd = 0;
	const struct expr *e = job->arg[3];

	if (!job_number(job, job->arg[1], "the operation", &job->number[0]) ||
	    !job_number(job, job->arg[2], "the descriptor", &fd))
		return false;
	const struct drill_fd *known = calls_fd(job->drill, fd);

	job->number[1] = known ? known->live : NO_HANDLE;
	job->bytes = calloc(1, sizeof(struct epoll_event));
	WEFT_ASSERT(job->bytes);
	job->has_value = e->kind == EX_STRUCT; /* else NULL, as for EPOLL_CTL_DEL */
	if (!job->has_value)
		return true;
	if (!member_number(job, e, "events", &events) || !data_number(job, e, &data))
		return false;
	*epolled(job) =
		(struct epoll_event){.events = (uint32_t)events, .data = {.u64 = (uint64_t)data}};
	return true;
}

int64_t job_run_epoll_ctl(struct drill_job *job)
{
	return weft_epoll_ctl(job->live, (int)job->number[0], (int)job->number[1],
			      job->has_value ? epolled(job) : NULL);
}

/* ---- epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 100) = 1; several in [...] ---- */

static const struct expr *first_event(const struct drill_job *job)
{
	const struct expr *e = job->arg[1];

	return e->kind == EX_ARRAY ? e->first : e;
}

bool job_prepare_epoll_wait(struct drill_job *job)
{
	if (!job_number(job, job->arg[2], "the number of events", &job->number[0]) ||
	    !job_number(job, job->arg[3], "the timeout", &job->number[1]))
		return false;
	if (job->number[0] > READY_MAX)
		return job_fail(job, "too many events");
	job->bytes = calloc(READY_MAX, sizeof(struct epoll_event));
	WEFT_ASSERT(job->bytes);
	return true;
}

int64_t job_run_epoll_wait(struct drill_job *job)
{
	return weft_epoll_wait(job->live, epolled(job), (int)job->number[0], (int)job->number[1]);
}

/* As many as came back, in their order. */
bool job_check_epoll_wait(struct drill_job *job)
{
	const struct expr *e = first_event(job);
	int64_t events = 0, data = 0;

	if (e && e->kind == EX_ELLIPSIS)
		return true;
	for (int64_t i = 0; i < job->result; i++, e = e->next) {
		const struct epoll_event *seen = &epolled(job)[i];

		if (!e || e->kind != EX_STRUCT)
			return job_fail(job, "more events than the script says");
		if (!member_number(job, e, "events", &events) || !data_number(job, e, &data))
			return false;
		if ((uint64_t)data != seen->data.u64)
			return job_fail(job, "the event is another's");
		if (!compare(job, data, (uint32_t)events, seen->events))
			return false;
	}
	return true;
}
