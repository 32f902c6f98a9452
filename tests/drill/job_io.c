/*
 * Calls that read and write; see job.h.  Data that a script writes as `...` is a pattern; what goes
 * out is compared with what was written, what is read with what the peer sent.
 */
#include "job.h"

#include "net/base/check.h"
#include <stdlib.h>
#include <string.h>

/* ---- Buffers. ---- */

static bool add_part(struct drill_job *job, const struct expr *content, int64_t size)
{
	if (job->iov_count == JOB_IOV_MAX || size < 0 || size > JOB_BYTES_MAX ||
	    job->size + (size_t)size > JOB_BYTES_MAX)
		return job_fail(job, "too many or too large buffers");
	if (content->kind == EX_STRING && job->kind->check == job_check_write &&
	    (size_t)size > content->size + 1)
		return job_fail(job, "the string is shorter than the number of bytes");
	job->iov[job->iov_count++].iov_len = (size_t)size;
	job->size += (size_t)size;
	return true;
}

static bool add_iovecs(struct drill_job *job, const struct expr *array)
{
	int64_t size;

	if (array->kind != EX_ARRAY)
		return job_fail(job, "expected [{..., SIZE}, ...]");
	for (const struct expr *e = array->first; e; e = e->next) {
		if (e->kind != EX_STRUCT || !e->first || !e->first->next)
			return job_fail(job, "expected {..., SIZE}");
		if (!job_number(job, e->first->next, "the size", &size) ||
		    !add_part(job, e->first, size))
			return false;
	}
	return true;
}

/* The strings into the buffers; the pattern goes on where the connection's log ends. */
static void fill(struct drill_job *job, const struct expr *content)
{
	struct peer_conn *c = job->fd ? job->fd->conn : NULL;
	uint32_t seq = c ? (uint32_t)c->sent_len + 1 : 1;
	size_t at = 0;

	for (int i = 0; i < job->iov_count; i++) {
		size_t size = job->iov[i].iov_len;

		job->iov[i].iov_base = job->bytes + at;
		for (size_t k = 0; k < size; k++)
			job->bytes[at + k] = peer_byte(seq + (uint32_t)(at + k));
		if (content && content->kind == EX_STRING)
			memcpy(job->bytes + at, content->text, size);
		at += size;
		content = content ? content->next : NULL;
	}
}

/* The strings of iovecs. */
static void fill_strings(struct drill_job *job, const struct expr *vec)
{
	for (int i = 0; i < job->iov_count; i++, vec = vec->next)
		if (vec->first->kind == EX_STRING)
			memcpy(job->iov[i].iov_base, vec->first->text, job->iov[i].iov_len);
}

static bool allocate(struct drill_job *job)
{
	job->bytes = calloc(1, job->size + 1);
	WEFT_ASSERT(job->bytes);
	return true;
}

/* The parts of arguments 1 and 2: a buffer and its size, or iovecs and their number. */
static bool read_parts(struct drill_job *job)
{
	int64_t size;

	if (job->arg[1]->kind == EX_ARRAY)
		return add_iovecs(job, job->arg[1]) && allocate(job);
	if (!job_number(job, job->arg[2], "the size", &size))
		return false;
	return add_part(job, job->arg[1], size) && allocate(job);
}

static bool read_flags(struct drill_job *job, unsigned index)
{
	return job->arg_count <= index || job->arg[index]->kind == EX_ELLIPSIS ||
	       job_number(job, job->arg[index], "the flags", &job->number[0]);
}

/* First of the expressions that tell the content of each part. */
static const struct expr *contents(const struct drill_job *job)
{
	return job->arg[1]->kind == EX_ARRAY ? NULL : job->arg[1];
}

/* ---- Reading. ---- */

bool job_prepare_read(struct drill_job *job)
{
	if (!read_flags(job, 3) || !read_parts(job))
		return false;
	fill(job, NULL);
	memset(job->bytes, 0, job->size);
	return true;
}

int64_t job_run_read(struct drill_job *job)
{
	const struct iovec *v = &job->iov[0];

	if (strcmp(job->kind->name, "readv") == 0)
		return weft_readv(job->live, job->iov, job->iov_count);
	if (strcmp(job->kind->name, "read") == 0)
		return weft_read(job->live, v->iov_base, v->iov_len);
	if (strcmp(job->kind->name, "recvfrom") == 0)
		return weft_recvfrom(job->live, v->iov_base, v->iov_len, (int)job->number[0], NULL,
				     NULL);
	return weft_recv(job->live, v->iov_base, v->iov_len, (int)job->number[0]);
}

bool job_check_read(struct drill_job *job)
{
	struct peer_conn *c = job->fd ? job->fd->conn : NULL;
	const struct expr *content = contents(job);
	int flags = (int)job->number[0];
	size_t got = job->result > 0 ? (size_t)job->result : 0;

	if (got == 0)
		return true;
	if (content && content->kind == EX_STRING) {
		size_t shorter = got < content->size ? got : content->size;

		if (memcmp(job->bytes, content->text, shorter) != 0)
			return job_fail(job, "other data was read");
		return true;
	}
	if (!c || flags & MSG_OOB)
		return true;
	/* It stops in front of an urgent byte; one that it begins at may be out of line. */
	bool is_urgent = c->urgent[0] == c->read_pos + 1 || c->urgent[1] == c->read_pos + 1;

	if (is_urgent && job->bytes[0] != peer_byte(c->read_pos))
		c->read_pos++;
	for (size_t i = 0; i < got && !(flags & MSG_TRUNC); i++)
		if (job->bytes[i] != peer_byte(c->read_pos + (uint32_t)i))
			return job_fail(job, "the data read is not what the peer sent");
	c->has_read = true;
	if (!(flags & MSG_PEEK))
		c->read_pos += (uint32_t)got;
	return true;
}

/* ---- Writing. ---- */

/* What is about to be written is logged before: segments leave while the call runs. */
static void log_write(struct drill_job *job)
{
	struct peer_conn *c = job->fd ? job->fd->conn : NULL;

	if (!c)
		return;
	job->sent_at = c->sent_len;
	peer_write(c, job->bytes, job->size);
}

bool job_prepare_write(struct drill_job *job)
{
	if (!read_flags(job, 3) || !read_parts(job))
		return false;
	if (job->arg_count == 6 && job->arg[4]->kind == EX_STRUCT)
		return job_unsupported(job, "an address");
	fill(job, contents(job));
	if (job->arg[1]->kind == EX_ARRAY)
		fill_strings(job, job->arg[1]->first);
	log_write(job);
	return true;
}

int64_t job_run_write(struct drill_job *job)
{
	const struct iovec *v = &job->iov[0];

	if (strcmp(job->kind->name, "writev") == 0)
		return weft_writev(job->live, job->iov, job->iov_count);
	if (strcmp(job->kind->name, "write") == 0)
		return weft_write(job->live, v->iov_base, v->iov_len);
	if (strcmp(job->kind->name, "sendto") == 0)
		return weft_sendto(job->live, v->iov_base, v->iov_len, (int)job->number[0], NULL,
				   0);
	return weft_send(job->live, v->iov_base, v->iov_len, (int)job->number[0]);
}

bool job_check_write(struct drill_job *job)
{
	struct peer_conn *c = job->fd ? job->fd->conn : NULL;

	if (c)
		peer_wrote(c, job->sent_at + (job->result > 0 ? (size_t)job->result : 0));
	return true;
}

/* ---- Messages. ---- */

static bool is_send(const struct drill_job *job)
{
	return strcmp(job->kind->name, "sendmsg") == 0;
}

bool job_prepare_msg(struct drill_job *job)
{
	const struct expr *e = job->arg[1];
	const struct expr *parts = NULL;

	if (e->kind != EX_STRUCT)
		return job_fail(job, "expected {msg_name(...)=..., msg_iov(1)=[...], msg_flags=0}");
	for (e = e->first; e; e = e->next) {
		if (e->field && strcmp(e->field, "msg_iov") == 0)
			parts = e;
		if (e->field && strcmp(e->field, "msg_control") == 0 && e->kind != EX_ELLIPSIS &&
		    e->first)
			return job_unsupported(job, "ancillary data");
	}
	if (!parts)
		return job_fail(job, "the message has no msg_iov");
	if (!read_flags(job, 2) || !add_iovecs(job, parts) || !allocate(job))
		return false;
	fill(job, NULL);
	if (is_send(job))
		log_write(job);
	return true;
}

int64_t job_run_msg(struct drill_job *job)
{
	struct msghdr m = {.msg_iov = job->iov, .msg_iovlen = (size_t)job->iov_count};
	int flags = (int)job->number[0];

	return is_send(job) ? weft_sendmsg(job->live, &m, flags)
			    : weft_recvmsg(job->live, &m, flags);
}

bool job_check_msg(struct drill_job *job)
{
	return is_send(job) ? job_check_write(job) : job_check_read(job);
}
