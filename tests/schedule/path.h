/* The choices of one execution. */
#ifndef WEFT_TESTS_PATH_H
#define WEFT_TESTS_PATH_H

#include <stdint.h>
#include <stdio.h>

/* An execution begins; its first 'count' choices are given. */
void path_begin(const uint8_t *choices, unsigned count);

/* Which of 'count' options is to be taken: what is given, else the first. */
unsigned path_take(unsigned count);

unsigned path_depth(void);
void path_print(FILE *out);

#endif
