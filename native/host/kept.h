// Memory that outlives this image of the program: blocks in a memfd that the next image, executed in our place after a
// crash, maps anew and finds as they were. Whatever must not be lost lies here, or is written here, before the crash: the
// heap cannot be trusted afterwards. Blocks refer to each other by offset, as the next image may map them elsewhere.
#ifndef MOOR_HOST_KEPT_H
#define MOOR_HOST_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum MoorKept {
    MOOR_KEPT_RECORD = 1, // plain data of TypeScript's (sys/kept.c)
    MOOR_KEPT_PUMP,       // sys/pump.c
    MOOR_KEPT_HELD,       // what a pump has read and not written
    MOOR_KEPT_CONNECTION, // host/follow.c
    MOOR_KEPT_CALL,       // a request that is not answered
    MOOR_KEPT_INPUT,      // a frame of which a part has come
    MOOR_KEPT_OUTPUT,     // the rest of a frame of which a part has gone
    MOOR_KEPT_SPAWNED,    // a child that we have started and not reaped
    MOOR_KEPT_REAPED,     // how a child has ended that was reaped in this turn
} MoorKept;

enum { MOOR_CRASHES_KEPT = 8 };

// One crash, as its handler saw it.
typedef struct MoorCrash {
    int64_t at_ns, monotonic_ns; // CLOCK_REALTIME, CLOCK_MONOTONIC
    int32_t signal, code;        // signal 0: the heap was exhausted
    uint64_t address, instruction;
    int32_t sender; // the pid that sent the signal; 0 for a fault
} MoorCrash;

// What is kept beside the blocks.
typedef struct MoorKeptHead {
    uint64_t magic;
    uint32_t layout; // of the structs of this build
    uint32_t end;    // behind the last block
    uint64_t last_number;
    char name[16]; // the process's, which exec changes
    uint32_t crash_count;
    uint32_t last_words; // too many crashes: the next image only writes down what it knows
    MoorCrash crashes[MOOR_CRASHES_KEPT]; // the one of number n at n % MOOR_CRASHES_KEPT
} MoorKeptHead;

// Begins to keep. Until then, and where it fails, blocks are ordinary memory. 0 or -errno.
int moor_kept_start(void);
// Goes on with the memfd of the image before: 0 or -errno.
int moor_kept_resume(int fd);
// Whether anything is kept.
bool moor_kept_on(void);
// The memfd, or -1.
int moor_kept_fd(void);
// NULL when nothing is kept.
MoorKeptHead *moor_kept_head(void);

// A block of zeros, or NULL without memory.
void *moor_kept_new(MoorKept kind, size_t size);
void moor_kept_free(void *block);
// The block of this kind behind `after` (the first for NULL), in no order; NULL at the end.
void *moor_kept_next(MoorKept kind, const void *after);
// How many bytes the block has room for.
size_t moor_kept_size(const void *block);
// A block by its offset, which says the same to the next image; 0 stands for NULL.
uint32_t moor_kept_offset(const void *block);
void *moor_kept_at(uint32_t offset);
// A number that is higher than all before.
uint64_t moor_kept_number(void);

#endif
