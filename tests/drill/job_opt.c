/* setsockopt, getsockopt and ioctl; see job.h.  A value is a number, a struct linger or timeval, or text. */
#include "job.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>

/* The field whose name ends so, as a number. */
static bool field_number(struct drill_job *job, const struct expr *e, const char *suffix, bool *has,
			 int64_t *value)
{
	for (e = e->first; e; e = e->next) {
		size_t size = e->field ? strlen(e->field) : 0;

		if (size < strlen(suffix) || strcmp(e->field + size - strlen(suffix), suffix) != 0)
			continue;
		*has = true;
		return job_number(job, e, suffix, value);
	}
	return true;
}

/* {onoff=1, linger=5} or {tv_sec=1, tv_usec=0} into 'to' of 256 bytes; the size, 0 for an error. */
static size_t put_struct(struct drill_job *job, const struct expr *e, char *to)
{
	int64_t number[4] = {0};
	bool has[4] = {false};

	if (!field_number(job, e, "onoff", &has[0], &number[0]) ||
	    !field_number(job, e, "linger", &has[1], &number[1]) ||
	    !field_number(job, e, "sec", &has[2], &number[2]) ||
	    !field_number(job, e, "usec", &has[3], &number[3]))
		return 0;
	if (has[0] && has[1]) {
		struct linger l = {.l_onoff = (int)number[0], .l_linger = (int)number[1]};

		memcpy(to, &l, sizeof(l));
		return sizeof(l);
	}
	if (has[2] && has[3]) {
		struct timeval tv = {.tv_sec = number[2], .tv_usec = number[3]};

		memcpy(to, &tv, sizeof(tv));
		return sizeof(tv);
	}
	(void)job_fail(job, "a struct that is none of linger and timeval");
	return 0;
}

/* The value as bytes; '*size' 0 when the script leaves it open. */
static bool put_value(struct drill_job *job, const struct expr *e, char *to, size_t *size)
{
	int64_t number;
	int value;

	*size = 0;
	if (e->kind == EX_ELLIPSIS || (e->kind == EX_ARRAY && !e->first))
		return true;
	if (e->kind == EX_STRUCT)
		return (*size = put_struct(job, e, to)) > 0;
	if (e->kind == EX_STRING) {
		*size = e->size < 255 ? e->size + 1 : 255;
		memcpy(to, e->text, *size);
		return true;
	}
	if (e->kind == EX_ARRAY)
		e = e->first;
	if (e->kind == EX_ELLIPSIS)
		return true;
	if (!job_number(job, e, "the option's value", &number))
		return false;
	value = (int)number;
	memcpy(to, &value, sizeof(value));
	*size = sizeof(value);
	return true;
}

static bool read_names(struct drill_job *job)
{
	return job_number(job, job->arg[1], "the level", &job->number[0]) &&
	       job_number(job, job->arg[2], "the option", &job->number[1]);
}

bool job_prepare_setopt(struct drill_job *job)
{
	const struct expr *e = job->arg[3];
	int64_t len;
	size_t size;

	if (!read_names(job))
		return false;
	job->has_value = !(e->kind == EX_WORD && strcmp(e->text, "NULL") == 0);
	if (job->has_value && !put_value(job, e, job->value, &size))
		return false;
	if (!job_number(job, job->arg[4], "the option's size", &len))
		return false;
	if (len > (int64_t)sizeof(job->value))
		return job_fail(job, "the option's value is too large");
	job->value_len = (socklen_t)len;
	return true;
}

int64_t job_run_setopt(struct drill_job *job)
{
	return weft_setsockopt(job->live, (int)job->number[0], (int)job->number[1],
			       job->has_value ? job->value : NULL, job->value_len);
}

bool job_prepare_getopt(struct drill_job *job)
{
	const struct expr *e = job->arg[4]->kind == EX_ARRAY ? job->arg[4]->first : job->arg[4];
	int64_t len = sizeof(job->value);

	if (!read_names(job))
		return false;
	if (e && e->kind != EX_ELLIPSIS && !job_number(job, e, "the option's size", &len))
		return false;
	if (len < 0 || len > (int64_t)sizeof(job->value))
		return job_fail(job, "the option's size is not in 0..256");
	job->value_len = (socklen_t)len;
	return true;
}

int64_t job_run_getopt(struct drill_job *job)
{
	return weft_getsockopt(job->live, (int)job->number[0], (int)job->number[1], job->value,
			       &job->value_len);
}

/* What came back and what the script says, if anything. */
static bool check_value(struct drill_job *job, const struct expr *e)
{
	char want[256] = "";
	char text[80];
	size_t size;
	int number;

	if (!put_value(job, e, want, &size))
		return false;
	if (size > job->value_len)
		size = job->value_len;
	if (memcmp(want, job->value, size) == 0)
		return true;
	memcpy(&number, job->value, sizeof(number));
	(void)snprintf(text, sizeof(text), "the option's value differs: %d", number);
	return job_fail(job, text);
}

bool job_check_getopt(struct drill_job *job)
{
	return job->result < 0 || check_value(job, job->arg[3]);
}

/* ---- ioctl: ioctl(4, SIOCINQ, [10]) = 0; the number goes in, too. ---- */

bool job_prepare_ioctl(struct drill_job *job)
{
	size_t size;

	return job_number(job, job->arg[1], "the request", &job->number[0]) &&
	       put_value(job, job->arg[2], job->value, &size);
}

int64_t job_run_ioctl(struct drill_job *job)
{
	return weft_ioctl(job->live, (unsigned long)job->number[0], (int *)(void *)job->value);
}

bool job_check_ioctl(struct drill_job *job)
{
	job->value_len = sizeof(int);
	return job->result < 0 || check_value(job, job->arg[2]);
}

int64_t job_run_sockatmark(struct drill_job *job)
{
	return weft_sockatmark(job->live);
}
