// Memory for the engine: small blocks from pages of one size each, the rest from the libc.
#ifndef MOOR_HOST_HEAP_H
#define MOOR_HOST_HEAP_H

#include <stddef.h>

// As malloc, free and realloc, for one thread. NULL when there is no memory; a size of 0 is the caller's to handle.
void *moor_heap_take(size_t size);
void moor_heap_give(void *block);
void *moor_heap_resize(void *block, size_t size);
// What the block has room for.
size_t moor_heap_room(const void *block);
// Gives pages that no block is in back to the kernel.
void moor_heap_trim(void);

#endif
