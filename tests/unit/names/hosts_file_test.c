/* The hosts file on disk: changes, what is no file, many threads. */
#include "api/names/hosts_file.h"
#include "unit.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/weft-hosts-XXXXXX";

static void write_file(const char *text, size_t size)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(write(fd, text, size) == (ssize_t)size);
	(void)close(fd);
}

static void put_text(const char *text)
{
	write_file(text, strlen(text));
}

/* The last byte of the IPv4 address of "h"; -1: it has none. */
static int last_byte(struct hosts_file *file)
{
	struct weft_name_addrs out = {.count = 0};
	struct hosts_copy *copy;

	CU_ASSERT_FATAL(hosts_file_get(file, &copy) == 0);
	bool is_found = copy && hosts_lookup(hosts_file_hosts(copy), "h", AF_INET, &out);

	hosts_file_put(file, copy);
	return is_found ? out.addrs[0].bytes[3] : -1;
}

static void open_file(struct hosts_file *file)
{
	int fd = mkstemp(strcpy(path, "/tmp/weft-hosts-XXXXXX"));

	CU_ASSERT_FATAL(fd >= 0);
	(void)close(fd);
	hosts_file_init(file, path);
}

static void close_file(struct hosts_file *file)
{
	hosts_file_fini(file);
	(void)unlink(path);
}

/* Changes are seen at once, also of the same size and in the same moment. */
static void test_changes(void)
{
	struct hosts_file file;

	open_file(&file);
	CU_ASSERT(last_byte(&file) == -1);
	put_text("192.0.2.1 h\n");
	CU_ASSERT(last_byte(&file) == 1);
	put_text("192.0.2.2 h\n");
	CU_ASSERT(last_byte(&file) == 2);
	(void)unlink(path);
	CU_ASSERT(last_byte(&file) == -1);
	put_text("192.0.2.3 h\n");
	CU_ASSERT(last_byte(&file) == 3);
	close_file(&file);
}

/* A file that has not changed for a while is not read again. */
static void test_unchanged(void)
{
	struct hosts_file file;
	struct hosts_copy *first, *second;

	hosts_file_init(&file, "/etc/hostname");
	CU_ASSERT(hosts_file_get(&file, &first) == 0);
	CU_ASSERT(hosts_file_get(&file, &second) == 0);
	CU_ASSERT(first == second || !first);
	hosts_file_put(&file, first);
	hosts_file_put(&file, second);
	hosts_file_fini(&file);
}

/* Who has a copy keeps it. */
static void test_kept(void)
{
	struct hosts_file file;
	struct hosts_copy *old;
	struct weft_name_addrs out = {.count = 0};

	open_file(&file);
	put_text("192.0.2.1 h\n");
	CU_ASSERT(hosts_file_get(&file, &old) == 0);
	put_text("192.0.2.2 h\n");
	CU_ASSERT(last_byte(&file) == 2);
	CU_ASSERT(hosts_lookup(hosts_file_hosts(old), "h", AF_INET, &out));
	CU_ASSERT(out.addrs[0].bytes[3] == 1);
	hosts_file_put(&file, old);
	close_file(&file);
}

static void test_no_file(void)
{
	struct hosts_file file;

	hosts_file_init(&file, "");
	CU_ASSERT(last_byte(&file) == -1);
	hosts_file_fini(&file);
	hosts_file_init(&file, "/tmp");
	CU_ASSERT(last_byte(&file) == -1);
	hosts_file_fini(&file);
	/* A FIFO that nobody writes to. */
	open_file(&file);
	(void)unlink(path);
	CU_ASSERT(mkfifo(path, 0600) == 0);
	CU_ASSERT(last_byte(&file) == -1);
	close_file(&file);
}

/* Of a large file the whole lines within HOSTS_BYTES_MAX are there. */
static void test_large(void)
{
	static char text[HOSTS_BYTES_MAX + 1];
	static const char line[] = "192.0.2.7 h\n";
	const size_t length = sizeof(line) - 1;
	struct hosts_file file;

	open_file(&file);
	memset(text, '#', sizeof(text));
	text[HOSTS_BYTES_MAX - length - 1] = '\n';
	memcpy(text + HOSTS_BYTES_MAX - length, line, length);
	write_file(text, HOSTS_BYTES_MAX);
	CU_ASSERT(last_byte(&file) == 7);
	/* One byte later, and the line is cut. */
	memset(text, '#', sizeof(text));
	text[HOSTS_BYTES_MAX - length] = '\n';
	memcpy(text + HOSTS_BYTES_MAX + 1 - length, line, length);
	write_file(text, HOSTS_BYTES_MAX + 1);
	CU_ASSERT(last_byte(&file) == -1);
	close_file(&file);
}

enum { READERS = 4, ROUNDS = 200 };

static void *run_reader(void *arg)
{
	struct hosts_file *file = arg;
	intptr_t failures = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int byte = last_byte(file);

		failures += byte != 1 && byte != 2;
	}
	return (void *)failures;
}

/* Readers and a change by rename, which is never half done. */
static void test_threads(void)
{
	pthread_t threads[READERS];
	struct hosts_file file;
	char other[sizeof(path) + 4];

	open_file(&file);
	put_text("192.0.2.1 h\n");
	for (int i = 0; i < READERS; i++)
		CU_ASSERT_FATAL(thread_start(&threads[i], "reader", run_reader, &file) == 0);
	(void)snprintf(other, sizeof(other), "%s.new", path);
	for (int i = 0; i < 20; i++) {
		int fd = open(other, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

		CU_ASSERT(write(fd, i % 2 ? "192.0.2.1 h\n" : "192.0.2.2 h\n", 12) == 12);
		(void)close(fd);
		CU_ASSERT(rename(other, path) == 0);
	}
	for (int i = 0; i < READERS; i++) {
		void *failures;

		CU_ASSERT(pthread_join(threads[i], &failures) == 0 && !failures);
	}
	close_file(&file);
}

UNIT_MAIN("hosts_file", UNIT(changes), UNIT(unchanged), UNIT(kept), UNIT(no_file), UNIT(large),
	  UNIT(threads))
