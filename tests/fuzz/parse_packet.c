/*
 * Fuzzes packet_print, and with it every parser behind ip_parse, with raw packets.  Invariants: the
 * text ends inside its buffer whatever the size, and a smaller buffer gets a prefix of it.
 */
#include "net/wire/print.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

enum { TEXT_SIZE = 512 };

static size_t print_into(const uint8_t *data, size_t size, size_t text_size, char *full)
{
	char *text = malloc(text_size);

	FUZZ_CHECK(text);
	FUZZ_CHECK(packet_print(data, size, text, text_size) == text);
	size_t len = strnlen(text, text_size);

	FUZZ_CHECK(len < text_size);
	if (text_size == TEXT_SIZE)
		memcpy(full, text, len + 1);
	else
		FUZZ_CHECK(strncmp(text, full, len) == 0);
	free(text);
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char full[TEXT_SIZE];
	size_t len = print_into(data, size, TEXT_SIZE, full);

	/* The longest form, four SACK blocks between two IPv6 ends, is far shorter than the text. */
	FUZZ_CHECK(len > 0 && len < TEXT_SIZE - 1);
	FUZZ_CHECK(print_into(data, size, 1 + len / 2, full) == len / 2);
	FUZZ_CHECK(print_into(data, size, len + 1, full) == len);
	FUZZ_CHECK(packet_print(data, size, NULL, 0) == NULL);
	return 0;
}
