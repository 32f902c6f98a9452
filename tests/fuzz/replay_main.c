/*
 * Runs every file of the directories (or every file) given as arguments through the target that it
 * is linked with: replays corpora and found crashes without libFuzzer, with any compiler.  Exits 1
 * when something cannot be read or when there was nothing to run.
 */
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1 << 20, PATH_SIZE = 2048 };

/* Gives the file's bytes, in a block of exactly their size, to the target. */
static int run_file(const char *path)
{
	static uint8_t bytes[INPUT_MAX];
	FILE *file = fopen(path, "rb");

	if (!file) {
		perror(path);
		return -1;
	}
	size_t size = fread(bytes, 1, sizeof(bytes), file);

	fclose(file);
	uint8_t *copy = malloc(size > 0 ? size : 1);

	if (!copy)
		return -1;
	memcpy(copy, bytes, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 1;
}

/* Returns how many files were run, or -1. */
static int run_dir(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int count = 0;

	if (!dir) {
		perror(path);
		return -1;
	}
	while (count >= 0 && (entry = readdir(dir))) {
		char name[PATH_SIZE];

		if (entry->d_name[0] == '.')
			continue;
		int len = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);

		bool is_whole = len > 0 && (size_t)len < sizeof(name);

		count = is_whole && run_file(name) > 0 ? count + 1 : -1;
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;
		int count = -1;

		if (stat(argv[i], &st) == 0)
			count = S_ISDIR(st.st_mode) ? run_dir(argv[i]) : run_file(argv[i]);
		else
			perror(argv[i]);
		if (count < 0)
			return 1;
		total += count;
	}
	printf("%d inputs replayed\n", total);
	return total > 0 ? 0 : 1;
}
