// libFuzzer on native/sys/utf8.c: what every text that comes from outside goes through. What is valid stays as it is, what
// is repaired is valid, loses no byte of ASCII, and is not repaired again; a repaired surrogate is none any more.

#include <stdlib.h>
#include <string.h>

#include "../sys/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static size_t count_ascii(const uint8_t *text, size_t size)
{
    size_t count = 0;
    for (size_t at = 0; at < size; at++)
        count += text[at] < 0x80;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t repaired_size, again_size;
    char *repaired = moor_utf8_repair(data, size, &repaired_size);
    demand(repaired && moor_utf8_valid((uint8_t *)repaired, repaired_size));
    bool same = repaired_size == size && memcmp(repaired, data, size) == 0;
    demand(same == moor_utf8_valid(data, size));
    demand(count_ascii(data, size) == count_ascii((uint8_t *)repaired, repaired_size));
    char *again = moor_utf8_repair((uint8_t *)repaired, repaired_size, &again_size);
    demand(again && again_size == repaired_size && memcmp(again, repaired, again_size) == 0);
    free(again);
    free(repaired);

    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    moor_utf8_replace_surrogates(copy, size);
    for (size_t at = 0; at + 2 < size; at++)
        demand(!(copy[at] == 0xed && copy[at + 1] >= 0xa0 && copy[at + 1] < 0xc0) || data[at] != 0xed);
    free(copy);
    return 0;
}
