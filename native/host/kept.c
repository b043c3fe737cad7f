// The kept memory (kept.h): a memfd, mapped once at its greatest possible size so that no block ever moves, and made
// longer as it fills. Blocks stand one behind the other; a free one is taken by the first that fits, and free neighbours
// become one when somebody looks for room.

#include "kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "crash.h"

enum {
    LIMIT_BYTES = 64 << 20,
    STEP_BYTES = 16 << 10,
    GRAIN = 16,
    LARGE_BYTES = 64 << 10,
    PAGE_BYTES = 4096,
    FIRST_BLOCK = (sizeof(MoorKeptHead) + GRAIN - 1) / GRAIN * GRAIN,
    // Changes with every struct that lies in here.
    LAYOUT = 1,
};

static const uint64_t magic = 0x6d6f6f72206b6570; // "moor kep"

typedef struct Block {
    uint32_t size; // with this
    uint16_t kind, used;
    uint32_t wanted;
    uint32_t pad;
} Block;

_Static_assert(sizeof(Block) == GRAIN, "what follows a block's head is aligned for anything");

static int kept_fd = -1;
static uint8_t *base;
static size_t file_bytes;
static uint32_t hint; // no free block begins before this

static MoorKeptHead *head(void)
{
    return (MoorKeptHead *)(void *)base;
}

static Block *block_at(uint32_t offset)
{
    return (Block *)(void *)(base + offset);
}

static int set_size(size_t bytes)
{
    if (bytes > LIMIT_BYTES)
        return -ENOMEM;
    if (ftruncate(kept_fd, (off_t)bytes) < 0)
        return -errno;
    file_bytes = bytes;
    return 0;
}

static int map(int fd)
{
    void *mapped = mmap(NULL, LIMIT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (mapped == MAP_FAILED)
        return -errno;
    kept_fd = fd;
    base = mapped;
    hint = FIRST_BLOCK;
    return 0;
}

int moor_kept_start(void)
{
    if (base)
        return -EEXIST;
    int fd = memfd_create("moor-kept", MFD_CLOEXEC);
    int status = fd < 0 ? -errno : map(fd);
    if (status == 0)
        status = set_size(STEP_BYTES);
    if (status < 0) {
        if (base)
            munmap(base, LIMIT_BYTES);
        base = NULL;
        kept_fd = -1;
        if (fd >= 0)
            close(fd);
        return status;
    }
    *head() = (MoorKeptHead){.magic = magic, .layout = LAYOUT, .end = FIRST_BLOCK};
    prctl(PR_GET_NAME, head()->name, 0, 0, 0);
    return 0;
}

// Whatever was written last, every block must lie within the file: what stands behind a bad one is given up.
static void check_blocks(void)
{
    uint32_t at = FIRST_BLOCK;
    while (at < head()->end) {
        const Block *block = block_at(at);
        if (file_bytes - at < GRAIN || block->size < GRAIN || block->size % GRAIN || block->size > head()->end - at ||
            block->wanted > block->size - GRAIN)
            break;
        at += block->size;
    }
    head()->end = at;
}

int moor_kept_resume(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < (off_t)FIRST_BLOCK)
        return size < 0 ? -errno : -EINVAL;
    int status = map(fd);
    if (status < 0)
        return status;
    file_bytes = (size_t)size;
    if (head()->magic != magic || head()->layout != LAYOUT || head()->end > file_bytes)
        return -EINVAL;
    check_blocks();
    return 0;
}

bool moor_kept_on(void)
{
    return base;
}

int moor_kept_fd(void)
{
    return kept_fd;
}

MoorKeptHead *moor_kept_head(void)
{
    return base ? head() : NULL;
}

// Makes one block of this free one and the free ones behind it, and gives the end of the file back where they reach it.
static void merge(uint32_t at)
{
    Block *block = block_at(at);
    while (at + block->size < head()->end && !block_at(at + block->size)->used)
        block->size += block_at(at + block->size)->size;
    if (at + block->size < head()->end)
        return;
    head()->end = at;
    size_t enough = (at / STEP_BYTES + 1) * STEP_BYTES;
    if (file_bytes > enough + 4 * STEP_BYTES)
        set_size(enough); // failing, it stays long
}

// The offset of a free block of this size, or 0.
static uint32_t find_room(uint32_t size)
{
    bool first = true;
    for (uint32_t at = hint; at < head()->end; at += block_at(at)->size) {
        Block *block = block_at(at);
        if (block->used)
            continue;
        merge(at);
        if (first)
            hint = at;
        first = false;
        if (at >= head()->end)
            break;
        if (block->size < size)
            continue;
        if (block->size > size) {
            *block_at(at + size) = (Block){.size = block->size - size};
            block->size = size;
        }
        return at;
    }
    uint32_t at = head()->end;
    if (size > LIMIT_BYTES - at)
        return 0;
    if (at + size > file_bytes && set_size(((at + size) / STEP_BYTES + 1) * STEP_BYTES) < 0)
        return 0;
    block_at(at)->size = size;
    block_at(at)->used = 0;
    head()->end = at + size;
    return at;
}

static void *take(MoorKept kind, size_t size)
{
    if (size > LIMIT_BYTES / 2)
        return NULL;
    uint32_t at = find_room((uint32_t)((size + GRAIN - 1) / GRAIN * GRAIN + GRAIN));
    if (!at)
        return NULL;
    Block *block = block_at(at);
    memset(block + 1, 0, size);
    block->kind = (uint16_t)kind;
    block->wanted = (uint32_t)size;
    block->used = 1;
    return block + 1;
}

void *moor_kept_new(MoorKept kind, size_t size)
{
    if (!base)
        return calloc(1, size ? size : 1);
    moor_crash_hold();
    void *block = take(kind, size);
    moor_crash_release();
    return block;
}

static bool is_kept(const void *block)
{
    const uint8_t *at = block;
    return base && at >= base && at < base + LIMIT_BYTES;
}

// The whole pages within a large block that is free go back to the kernel (madvise(2): a hole in the file).
static void give_back(uint32_t at)
{
    uint32_t size = block_at(at)->size;
    if (size < LARGE_BYTES)
        return;
    uint32_t from = (at + GRAIN + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    uint32_t to = (at + size) / PAGE_BYTES * PAGE_BYTES;
    madvise(base + from, to - from, MADV_REMOVE); // failing, they stay
}

void moor_kept_free(void *data)
{
    if (!is_kept(data)) {
        free(data);
        return;
    }
    moor_crash_hold();
    uint32_t at = moor_kept_offset(data) - GRAIN;
    block_at(at)->used = 0;
    if (at < hint)
        hint = at;
    give_back(at);
    moor_crash_release();
}

void *moor_kept_next(MoorKept kind, const void *after)
{
    if (!base)
        return NULL;
    uint32_t at = FIRST_BLOCK;
    if (after) {
        at = moor_kept_offset(after) - GRAIN;
        at += block_at(at)->size;
    }
    for (; at < head()->end; at += block_at(at)->size) {
        if (block_at(at)->used && block_at(at)->kind == kind)
            return block_at(at) + 1;
    }
    return NULL;
}

size_t moor_kept_size(const void *block)
{
    return is_kept(block) ? block_at(moor_kept_offset(block) - GRAIN)->wanted : 0;
}

uint32_t moor_kept_offset(const void *block)
{
    return is_kept(block) ? (uint32_t)((const uint8_t *)block - base) : 0;
}

void *moor_kept_at(uint32_t offset)
{
    return offset && base ? base + offset : NULL;
}

uint64_t moor_kept_number(void)
{
    return base ? ++head()->last_number : 0;
}
