// Memory for the engine. It lives on small blocks, thousands a call, and so they come from here: pages of 4 KiB that hold
// blocks of one size, in one piece of address space of which no more is usable than is needed. What a page is, stands in a
// table beside it; a free block holds the place of the next one. What is larger comes from the libc.
//
// Why not all from the libc: musl's malloc gives a group of blocks back to the kernel as soon as it is empty and asks for
// it again with the next block, which costs a call two system calls and a page fault; its blocks carry four bytes of its
// own; and it takes several times as long (docs/performance.md).
//
// One thread alone: the shim has no other. A build with the address sanitizer takes everything from its malloc.

#include "heap.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__

void *moor_heap_take(size_t size)
{
    return malloc(size);
}

void moor_heap_give(void *block)
{
    free(block);
}

void *moor_heap_resize(void *block, size_t size)
{
    return realloc(block, size);
}

size_t moor_heap_room(const void *block)
{
    return malloc_usable_size((void *)block);
}

void moor_heap_trim(void)
{
    malloc_trim(0);
}

#else

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

enum {
    PAGE_BYTES = 4096,
    // All of the engine's memory is limited to so much (limits.c).
    MOST_PAGES = 64 * 1024 * 1024 / PAGE_BYTES,
    PAGES_PER_STEP = 16,
    LARGEST_BLOCK = 2048,
    UNIT = 8,
    NONE = 0xffff,
    // So many pages may be empty and yet stay; work that comes in waves needs them again.
    MOST_IDLE_PAGES = 8,
};

static const uint16_t block_sizes[] = {
    16,  24,  32,  40,  48,  56,  64,  72,  80,  88,  96,  104, 112, 120, 128, 144,
    160, 176, 192, 208, 224, 256, 288, 320, 368, 408, 448, 512, 576, 680, 816, 1024, 1360, 2048,
};
enum { KINDS = sizeof block_sizes / sizeof block_sizes[0] };

typedef struct Page {
    uint16_t kind;       // index of its block size
    uint16_t used;       // blocks that are out
    uint16_t first_free; // in the page, in UNITs; NONE: there is none
    uint16_t fresh;      // from here on, in UNITs, no block has been out yet
    uint16_t next, previous;
} Page;

static uint8_t *base; // NULL until the first block is taken
static Page *pages;   // one for each page, beside the blocks
static uint8_t kind_of[LARGEST_BLOCK / UNIT + 1];
// Pages with room, by kind; then pages without blocks, with memory (idle) and without (bare); all lists of numbers.
static uint16_t roomy[KINDS], idle = NONE, bare = NONE;
static unsigned idle_count, usable_count, begun_count;

static bool set_up(void)
{
    size_t table_bytes = MOST_PAGES * sizeof(Page);
    size_t bytes = (size_t)MOST_PAGES * PAGE_BYTES;
    // Address space alone: it counts as memory when it is made writable.
    void *space = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED)
        return false;
    void *table = mmap(NULL, table_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED) {
        munmap(space, bytes);
        return false;
    }
    base = space;
    pages = table;
    memset(roomy, 0xff, sizeof roomy);
    unsigned kind = 0;
    for (unsigned units = 0; units <= LARGEST_BLOCK / UNIT; units++) {
        if (units * UNIT > block_sizes[kind])
            kind++;
        kind_of[units] = (uint8_t)kind;
    }
    return true;
}

static bool is_ours(const void *block)
{
    return (uintptr_t)block - (uintptr_t)base < (uintptr_t)MOST_PAGES * PAGE_BYTES && base;
}

static unsigned page_of(const void *block)
{
    return (unsigned)(((uintptr_t)block - (uintptr_t)base) / PAGE_BYTES);
}

static uint8_t *address_of(unsigned page)
{
    return base + (size_t)page * PAGE_BYTES;
}

static void put(uint16_t *list, unsigned page)
{
    pages[page].next = *list;
    pages[page].previous = NONE;
    if (*list != NONE)
        pages[*list].previous = (uint16_t)page;
    *list = (uint16_t)page;
}

static void take_out(uint16_t *list, unsigned page)
{
    Page *it = &pages[page];
    if (it->next != NONE)
        pages[it->next].previous = it->previous;
    if (it->previous != NONE)
        pages[it->previous].next = it->next;
    else
        *list = it->next;
}

// A page without blocks; NONE when the kernel gives no more.
static unsigned empty_page(void)
{
    unsigned page = idle;
    if (page != NONE) {
        take_out(&idle, page);
        idle_count--;
        return page;
    }
    page = bare;
    if (page != NONE) {
        take_out(&bare, page);
        return page;
    }
    if (begun_count == usable_count) {
        if (usable_count == MOST_PAGES ||
            mprotect(address_of(usable_count), PAGES_PER_STEP * PAGE_BYTES, PROT_READ | PROT_WRITE) < 0)
            return NONE;
        usable_count += PAGES_PER_STEP;
    }
    return begun_count++;
}

// The first page of the list has room for the kind after this.
static bool add_page(unsigned kind)
{
    unsigned page = empty_page();
    if (page == NONE)
        return false;
    pages[page] = (Page){.kind = (uint16_t)kind, .first_free = NONE};
    put(&roomy[kind], page);
    return true;
}

static void release(unsigned page)
{
    // Refused: the memory stays, and nothing is wrong.
    (void)madvise(address_of(page), PAGE_BYTES, MADV_DONTNEED);
    put(&bare, page);
}

static bool is_full(const Page *page, unsigned size)
{
    return page->first_free == NONE && page->fresh * UNIT + size > PAGE_BYTES;
}

void *moor_heap_take(size_t size)
{
    if (size > LARGEST_BLOCK || (!base && !set_up()))
        return malloc(size);
    unsigned kind = kind_of[(size + UNIT - 1) / UNIT];
    if (roomy[kind] == NONE && !add_page(kind))
        return malloc(size);
    unsigned number = roomy[kind];
    Page *page = &pages[number];
    uint8_t *block = address_of(number);
    if (page->first_free != NONE) {
        block += page->first_free * UNIT;
        memcpy(&page->first_free, block, sizeof page->first_free);
    } else {
        block += page->fresh * UNIT;
        page->fresh = (uint16_t)(page->fresh + block_sizes[kind] / UNIT);
    }
    page->used++;
    if (is_full(page, block_sizes[kind]))
        take_out(&roomy[kind], number);
    return block;
}

void moor_heap_give(void *block)
{
    if (!is_ours(block)) {
        free(block);
        return;
    }
    unsigned number = page_of(block);
    Page *page = &pages[number];
    unsigned size = block_sizes[page->kind];
    if (!page->used)
        abort(); // given back twice
    bool was_full = is_full(page, size);
    memcpy(block, &page->first_free, sizeof page->first_free);
    page->first_free = (uint16_t)(((uintptr_t)block & (PAGE_BYTES - 1)) / UNIT);
    page->used--;
    if (was_full)
        put(&roomy[page->kind], number);
    if (page->used)
        return;
    take_out(&roomy[page->kind], number);
    if (idle_count == MOST_IDLE_PAGES) {
        release(number);
    } else {
        put(&idle, number);
        idle_count++;
    }
}

size_t moor_heap_room(const void *block)
{
    return is_ours(block) ? block_sizes[pages[page_of(block)].kind] : malloc_usable_size((void *)block);
}

void *moor_heap_resize(void *block, size_t size)
{
    bool ours = is_ours(block);
    if (!ours && size > LARGEST_BLOCK)
        return realloc(block, size);
    size_t room = moor_heap_room(block);
    if (ours && size <= LARGEST_BLOCK && kind_of[(size + UNIT - 1) / UNIT] == pages[page_of(block)].kind)
        return block;
    void *moved = moor_heap_take(size);
    if (!moved)
        return NULL;
    memcpy(moved, block, size < room ? size : room);
    moor_heap_give(block);
    return moved;
}

void moor_heap_trim(void)
{
    while (idle != NONE) {
        unsigned page = idle;
        take_out(&idle, page);
        release(page);
    }
    idle_count = 0;
}

#endif
