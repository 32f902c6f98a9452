/* A call that a script makes: arguments turned into what the API takes, and what came back. */
#ifndef WEFT_DRILL_JOB_H
#define WEFT_DRILL_JOB_H

#include "drill.h"

enum { JOB_IOV_MAX = 16, JOB_ARGS_MAX = 8, JOB_BYTES_MAX = 64 << 20 };

struct job_kind;

struct drill_job {
	struct bed_call call; /* first */
	struct drill_job *next;
	struct drill *drill;
	const struct event *event;
	const struct job_kind *kind;
	bool is_checked;
	int64_t due_us; /* of a blocking call: when it is to come back, in the script's time */
	const struct expr *arg[JOB_ARGS_MAX];
	unsigned arg_count;
	struct drill_fd *fd; /* NULL: the script's number is none of its sockets */
	int live;
	int64_t number[3]; /* flags, backlog, level and such, in the order of the arguments */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	bool has_addr; /* else NULL is passed */
	struct iovec iov[JOB_IOV_MAX];
	int iov_count;
	uint8_t *bytes; /* all that iov points to; structs of poll and epoll */
	size_t size;
	size_t sent_at;  /* length of the connection's log before this write */
	char value[256]; /* of a socket option or ioctl */
	socklen_t value_len;
	bool has_value;
	int64_t result;
	int error;
};

/* A system call: what it is named, and how it is done. */
struct job_kind {
	const char *name;
	unsigned args_min, args_max;
	bool has_fd; /* the first argument */
	bool (*prepare)(struct drill_job *job);
	int64_t (*run)(struct drill_job *job); /* in a thread of the bed's; NULL: weft has none */
	bool (*check)(struct drill_job *job);  /* after the result was right; may be NULL */
};

const struct job_kind *job_kind_find(const char *name);

bool job_fail(struct drill_job *job, const char *what);
bool job_unsupported(struct drill_job *job, const char *what);
/* A number, a constant or several with '|'; what it is is 'what', for the message. */
bool job_number(struct drill_job *job, const struct expr *e, const char *what, int64_t *value);

/* ---- job_io.c ---- */
bool job_prepare_read(struct drill_job *job);
bool job_prepare_write(struct drill_job *job);
bool job_prepare_msg(struct drill_job *job);
int64_t job_run_read(struct drill_job *job);
int64_t job_run_write(struct drill_job *job);
int64_t job_run_msg(struct drill_job *job);
bool job_check_read(struct drill_job *job);
bool job_check_write(struct drill_job *job);
bool job_check_msg(struct drill_job *job);

/* ---- job_sock.c ---- */
bool job_prepare_socket(struct drill_job *job);
bool job_prepare_addr(struct drill_job *job);
bool job_prepare_number(struct drill_job *job);
bool job_prepare_fcntl(struct drill_job *job);
bool job_prepare_none(struct drill_job *job);
int64_t job_run_socket(struct drill_job *job);
int64_t job_run_bind(struct drill_job *job);
int64_t job_run_listen(struct drill_job *job);
int64_t job_run_accept(struct drill_job *job);
int64_t job_run_connect(struct drill_job *job);
int64_t job_run_close(struct drill_job *job);
int64_t job_run_shutdown(struct drill_job *job);
int64_t job_run_fcntl(struct drill_job *job);
int64_t job_run_getsockname(struct drill_job *job);
int64_t job_run_getpeername(struct drill_job *job);
bool job_check_listen(struct drill_job *job);
bool job_check_close(struct drill_job *job);
bool job_check_addr(struct drill_job *job);
/* The new handle gets the script's number. */
bool job_add_fd(struct drill_job *job);

/* ---- job_opt.c ---- */
bool job_prepare_ioctl(struct drill_job *job);
int64_t job_run_ioctl(struct drill_job *job);
bool job_check_ioctl(struct drill_job *job);
int64_t job_run_sockatmark(struct drill_job *job);
bool job_prepare_getopt(struct drill_job *job);
bool job_prepare_setopt(struct drill_job *job);
int64_t job_run_getopt(struct drill_job *job);
int64_t job_run_setopt(struct drill_job *job);
bool job_check_getopt(struct drill_job *job);

/* ---- job_ready.c ---- */
bool job_prepare_poll(struct drill_job *job);
bool job_prepare_set(struct drill_job *job);
bool job_prepare_epoll_ctl(struct drill_job *job);
bool job_prepare_epoll_wait(struct drill_job *job);
int64_t job_run_poll(struct drill_job *job);
int64_t job_run_set(struct drill_job *job);
int64_t job_run_epoll_ctl(struct drill_job *job);
int64_t job_run_epoll_wait(struct drill_job *job);
bool job_check_poll(struct drill_job *job);
bool job_check_epoll_wait(struct drill_job *job);
bool job_add_set(struct drill_job *job);

#endif
