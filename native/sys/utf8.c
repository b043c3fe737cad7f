// UTF-8: well-formedness by table 3-7 of the Unicode standard, replacement by maximal subparts.

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

// The length of the well-formed sequence at text, or minus the number of bytes (1 to 3) that one U+FFFD stands for.
static int sequence(const uint8_t *text, size_t size)
{
    uint8_t first = text[0];
    uint8_t low = 0x80, high = 0xbf; // of the second byte
    int length;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        if (first == 0xe0)
            low = 0xa0;
        if (first == 0xed)
            high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        if (first == 0xf0)
            low = 0x90;
        if (first == 0xf4)
            high = 0x8f;
    } else {
        return -1;
    }
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= size || text[i] < low || text[i] > high)
            return -i;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

bool moor_utf8_valid(const uint8_t *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        int length = text[at] < 0x80 ? 1 : sequence(text + at, size - at);
        if (length < 0)
            return false;
        at += (size_t)length;
    }
    return true;
}

char *moor_utf8_repair(const uint8_t *text, size_t size, size_t *repaired_size)
{
    if (size > SIZE_MAX / 3 - 1)
        return NULL;
    char *repaired = malloc(size * 3 + 1);
    if (!repaired)
        return NULL;
    size_t out = 0;
    for (size_t at = 0; at < size;) {
        int length = sequence(text + at, size - at);
        if (length < 0) {
            memcpy(repaired + out, "\xef\xbf\xbd", 3);
            out += 3;
            at += (size_t)-length;
        } else {
            memcpy(repaired + out, text + at, (size_t)length);
            out += (size_t)length;
            at += (size_t)length;
        }
    }
    *repaired_size = out;
    return repaired;
}

void moor_utf8_replace_surrogates(uint8_t *text, size_t size)
{
    for (size_t at = 0; at + 2 < size; at++) {
        if (text[at] == 0xed && text[at + 1] >= 0xa0) {
            memcpy(text + at, "\xef\xbf\xbd", 3);
            at += 2;
        }
    }
}
