// UTF-8 by the rules of the Encoding standard: what is well-formed, and what stands for what is not. No engine here.
#ifndef MOOR_SYS_UTF8_H
#define MOOR_SYS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool moor_utf8_valid(const uint8_t *text, size_t size);
// A copy in which each maximal part of a malformed sequence is one U+FFFD. Freed by free; NULL when memory is exhausted.
char *moor_utf8_repair(const uint8_t *text, size_t size, size_t *repaired_size);
// Replaces, in place, the three bytes that the engine writes for an unpaired surrogate by U+FFFD, which has three too.
void moor_utf8_replace_surrogates(uint8_t *text, size_t size);

#endif
