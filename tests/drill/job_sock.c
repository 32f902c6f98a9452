/* Calls that make, name and end sockets; see job.h. */
#include "job.h"

#include "net/base/addr.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* ---- Addresses. ---- */

static void put_addr(struct drill_job *job, const struct addr *addr, uint16_t port, bool is_v6)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memcpy(&in.sin_addr, addr->b + 12, 4);
	memcpy(&in6.sin6_addr, addr->b, 16);
	if (is_v6)
		memcpy(&job->addr, &in6, sizeof(in6));
	else
		memcpy(&job->addr, &in, sizeof(in));
	job->addr_len = is_v6 ? sizeof(in6) : sizeof(in);
	job->has_addr = true;
}

/* The first string in the expression, or NULL. */
static const char *find_string(const struct expr *e)
{
	for (; e; e = e->next) {
		const char *text = e->kind == EX_STRING ? e->text : find_string(e->first);

		if (text)
			return text;
	}
	return NULL;
}

/* What "{sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr("1.2.3.4")}" says. */
struct addr_spec {
	int64_t family;
	int64_t port;
	struct addr addr;
	bool has_port, has_addr;
};

static bool read_addr(struct drill_job *job, const struct expr *e, struct addr_spec *spec)
{
	*spec = (struct addr_spec){.family = job->drill->is_v6 ? AF_INET6 : AF_INET};
	for (e = e->first; e; e = e->next) {
		const struct expr *value = e->kind == EX_CALL ? e->first : e;
		const char *text = e->field && strstr(e->field, "addr") ? find_string(value) : NULL;

		if (!text && e->kind == EX_CALL && strcmp(e->text, "inet_pton") == 0)
			text = find_string(value);
		if (e->field && strstr(e->field, "family")) {
			if (!job_number(job, e, "the family", &spec->family))
				return false;
		} else if (e->field && strstr(e->field, "port") && value) {
			if (!job_number(job, value, "the port", &spec->port))
				return false;
			spec->has_port = true;
		} else if (text) {
			if (!addr_parse(text, &spec->addr))
				return job_fail(job, "not an IP address in a struct sockaddr");
			spec->has_addr = true;
		} else if (e->kind != EX_ELLIPSIS && e->kind != EX_INT) {
			return job_fail(job, "a field of struct sockaddr that drill does not know");
		}
	}
	return true;
}

/* The address of a `...`: ours for bind, the peer's for connect. */
static void default_addr(struct drill_job *job, bool is_connect)
{
	const struct drill *d = job->drill;
	const struct addr any = {0};
	/* A socket that is none, or closed, gets something all the same. */
	bool is_v6 = job->fd ? !job->fd->is_v4 : d->is_v6;
	bool is_mapped = is_v6 && addr_is_v4(&d->peer.local);

	if (is_connect)
		put_addr(job, &d->peer.remote, d->connect_port, is_v6);
	else
		put_addr(job, is_mapped ? &any : &d->peer.local, d->bind_port, is_v6);
}

/* The address is the second argument. */
bool job_prepare_addr(struct drill_job *job)
{
	const struct expr *e = job->arg[1];
	bool is_in = job->kind->run == job_run_bind || job->kind->run == job_run_connect;
	bool is_connect = job->kind->run == job_run_connect;
	struct addr_spec spec;
	int64_t number;

	if (job->arg_count == 4 && !job_number(job, job->arg[3], "the flags", &job->number[0]))
		return false;
	if (!is_in) {
		job->has_addr = e->kind != EX_WORD && !(e->kind == EX_INT && e->number == 0);
		job->addr_len = sizeof(job->addr);
		return true;
	}
	if (e->kind == EX_ELLIPSIS) {
		default_addr(job, is_connect);
	} else if (e->kind == EX_STRUCT) {
		if (!read_addr(job, e, &spec))
			return false;
		put_addr(job, &spec.addr, (uint16_t)spec.port, spec.family == AF_INET6);
		if (spec.family != AF_INET && spec.family != AF_INET6)
			job->addr.ss_family = (sa_family_t)spec.family;
	} else if (e->kind == EX_WORD && symbol_find(e->text, &number)) {
		default_addr(job, is_connect); /* AF_UNSPEC and no more */
		job->addr.ss_family = (sa_family_t)number;
	} else if (e->kind != EX_WORD || strcmp(e->text, "NULL") != 0) {
		return job_fail(job, "expected an address or ...");
	}
	if (job->arg[2]->kind == EX_INT)
		job->addr_len = (socklen_t)job->arg[2]->number;
	if (is_connect && job->fd && !job->fd->conn && job->has_addr) {
		const struct sockaddr_in *in = (const void *)&job->addr; /* the port is alike */

		job->fd->conn = peer_expect_active(&job->drill->peer, ntohs(in->sin_port));
	}
	if (is_connect && job->fd)
		job->drill->info_fd = job->fd;
	return true;
}

static struct sockaddr *addr_of(struct drill_job *job)
{
	return job->has_addr ? (struct sockaddr *)(void *)&job->addr : NULL;
}

/* Compares the address that came back with the one written, if one is. */
bool job_check_addr(struct drill_job *job)
{
	const struct expr *e = job->arg[1];
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	struct addr_spec spec;
	struct addr got = {0};

	if (e->kind != EX_STRUCT || job->result < 0)
		return true;
	if (!read_addr(job, e, &spec))
		return false;
	memcpy(&in, &job->addr, sizeof(in));
	memcpy(&in6, &job->addr, sizeof(in6));
	if (in.sin_family == AF_INET6) {
		memcpy(got.b, &in6.sin6_addr, 16);
	} else {
		got.b[10] = 0xff;
		got.b[11] = 0xff;
		memcpy(got.b + 12, &in.sin_addr, 4);
	}
	if (in.sin_family != spec.family)
		return job_fail(job, "the address' family differs");
	if (spec.has_port && ntohs(in.sin_port) != spec.port)
		return job_fail(job, "the address' port differs");
	if (spec.has_addr && !addr_equal(&got, &spec.addr))
		return job_fail(job, "the address differs");
	return true;
}

/* ---- Sockets. ---- */

bool job_prepare_none(struct drill_job *job)
{
	(void)job;
	return true;
}

bool job_prepare_number(struct drill_job *job)
{
	return job_number(job, job->arg[1], "the second argument", &job->number[0]);
}

bool job_prepare_fcntl(struct drill_job *job)
{
	if (!job_number(job, job->arg[1], "the command", &job->number[0]))
		return false;
	return job->arg_count < 3 || job->arg[2]->kind == EX_ELLIPSIS ||
	       job_number(job, job->arg[2], "the flags", &job->number[1]);
}

bool job_prepare_socket(struct drill_job *job)
{
	static const char *const what[] = {"the domain", "the type", "the protocol"};

	job->number[0] = job->drill->is_v6 ? AF_INET6 : AF_INET;
	for (unsigned i = 0; i < 3; i++)
		if (job->arg[i]->kind != EX_ELLIPSIS &&
		    !job_number(job, job->arg[i], what[i], &job->number[i]))
			return false;
	return true;
}

int64_t job_run_socket(struct drill_job *job)
{
	return weft_socket(bed_stack(job->drill->bed), (int)job->number[0], (int)job->number[1],
			   (int)job->number[2]);
}

int64_t job_run_bind(struct drill_job *job)
{
	return weft_bind(job->live, addr_of(job), job->addr_len);
}

int64_t job_run_listen(struct drill_job *job)
{
	return weft_listen(job->live, (int)job->number[0]);
}

int64_t job_run_accept(struct drill_job *job)
{
	return weft_accept4(job->live, addr_of(job), job->has_addr ? &job->addr_len : NULL,
			    (int)job->number[0]);
}

int64_t job_run_connect(struct drill_job *job)
{
	return weft_connect(job->live, addr_of(job), job->addr_len);
}

int64_t job_run_close(struct drill_job *job)
{
	return weft_close(job->live);
}

int64_t job_run_shutdown(struct drill_job *job)
{
	return weft_shutdown(job->live, (int)job->number[0]);
}

int64_t job_run_fcntl(struct drill_job *job)
{
	return weft_fcntl(job->live, (int)job->number[0], (int)job->number[1]);
}

int64_t job_run_getsockname(struct drill_job *job)
{
	return weft_getsockname(job->live, addr_of(job), &job->addr_len);
}

int64_t job_run_getpeername(struct drill_job *job)
{
	return weft_getpeername(job->live, addr_of(job), &job->addr_len);
}

/* ---- What follows from success. ---- */

static uint16_t port_of(int (*get)(int, struct sockaddr *, socklen_t *), int live)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct sockaddr_in in;

	if (get(live, (struct sockaddr *)(void *)&ss, &len) != 0)
		return 0;
	memcpy(&in, &ss, sizeof(in)); /* the port is alike in both families */
	return ntohs(in.sin_port);
}

bool job_check_listen(struct drill_job *job)
{
	if (job->result < 0)
		return true;
	job->drill->peer.listen_port = port_of(weft_getsockname, job->live);
	job->drill->peer.is_fresh = true;
	return true;
}

bool job_check_close(struct drill_job *job)
{
	if (job->fd)
		job->fd->is_open = false;
	return true;
}

bool job_add_fd(struct drill_job *job)
{
	struct drill *d = job->drill;
	const struct expr *want = job->event->call.result;
	bool is_accept = job->kind->run == job_run_accept;

	if (job->result < 0)
		return true;
	int live = (int)job->result;

	if (d->fd_count == DRILL_FDS_MAX) {
		(void)weft_close(live);
		return job_fail(job, "too many descriptors");
	}
	struct drill_fd *fd = &d->fds[d->fd_count++];

	*fd = (struct drill_fd){.is_open = true, .live = live, .script = live};
	fd->is_v4 = is_accept ? job->fd && job->fd->is_v4 : job->number[0] == AF_INET;
	if (want->kind == EX_INT) {
		struct drill_fd *old = calls_fd(d, want->number);

		fd->script = (int)want->number;
		if (old && old != fd)
			return job_fail(job, "the script has a descriptor with this number");
	}
	if (is_accept) {
		fd->conn = peer_find(&d->peer, port_of(weft_getsockname, live),
				     port_of(weft_getpeername, live));
		d->info_fd = fd;
	} else if (!d->info_fd) {
		d->info_fd = fd;
	}
	return !is_accept || job_check_addr(job);
}
