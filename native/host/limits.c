// Limits of the engine.
//
// Memory: the engine allocates through the functions here. A request past the limit fails with an exception that the code
// can catch as long as there is room left besides (a peer asked for something absurd). When there is not, the heap as a
// whole is full; the engine cannot go on safely then (an exception needs memory itself, and promise chains break
// silently), so that is the end of this process image: out_of_memory(). So is it when the kernel gives no more.
//
// Time: a turn that has used TURN_CPU_SECONDS of processor time is interrupted by an error that no catch clause gets.
// Processor time, not wall-clock time, so that a stopped process or a slow disk interrupts nothing. The engine ignores
// what its own calls of a promise's resolving functions throw, so an interrupt there would leave a promise pending for
// ever: an interrupt waits for a moment when a function of ours is on top of the stack, within reason.

#include "limits.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"
#include "heap.h"

enum {
    JS_STACK_BYTES = 512 * 1024,
    MEMORY_LIMIT_BYTES = 64 * 1024 * 1024,
    // With so much left a failed request is the request's fault.
    ROOM_BYTES = 1024 * 1024,
    // A request that fails for so little, within the limit or not, is nobody's fault: there is no memory.
    SMALL_BYTES = 64 * 1024,
    // Each is a few thousand steps of the engine.
    MOST_MOMENTS_LET_GO = 100,
    // What a block itself needs, as the engine's own accounting has it.
    BLOCK_OVERHEAD = 8,
};

// The native tests are built with less, so as not to wait for it.
#ifndef TURN_CPU_SECONDS
#define TURN_CPU_SECONDS 10
#endif

extern uint32_t js_hash_secret; // the engine's, by our patch

static const JSMallocState *memory;
static bool turn_is_timed;
static int moments_let_go;
static JSContext *main_context;
static struct timespec turn_began;

// The one place where the heap's end is met. Going on is out of the question: where something is kept (kept.h) the program
// is executed anew, else this is the end.
static _Noreturn void out_of_memory(const JSMallocState *state, size_t size)
{
    char text[160];
    int length = snprintf(text, sizeof text, "moor: out of memory: %zu of %zu bytes are in use and %zu more are needed\n",
                          state->malloc_size, state->malloc_limit, size);
    bool said = length > 0 && write(STDERR_FILENO, text, (size_t)length) >= 0;
    moor_crash_out_of_memory();
    if (!said)
        _exit(MOOR_EXIT_NO_MEMORY); // the reader of stderr is gone: the exit status has to say it alone
    _exit(MOOR_EXIT_NO_MEMORY);
}

static void *no_room(const JSMallocState *state, size_t size)
{
    if (state->malloc_size + ROOM_BYTES > state->malloc_limit || size <= SMALL_BYTES)
        out_of_memory(state, size);
    return NULL;
}

static bool fits(const JSMallocState *state, size_t size)
{
    return size <= state->malloc_limit && state->malloc_size <= state->malloc_limit - size;
}

static void *engine_malloc(JSMallocState *state, size_t size)
{
    memory = state;
    void *block = fits(state, size) ? moor_heap_take(size) : NULL;
    if (!block)
        return no_room(state, size);
    state->malloc_count++;
    state->malloc_size += moor_heap_room(block) + BLOCK_OVERHEAD;
    return block;
}

static void engine_free(JSMallocState *state, void *block)
{
    if (!block)
        return;
    state->malloc_count--;
    state->malloc_size -= moor_heap_room(block) + BLOCK_OVERHEAD;
    moor_heap_give(block);
}

static void *engine_realloc(JSMallocState *state, void *block, size_t size)
{
    if (!block)
        return size ? engine_malloc(state, size) : NULL;
    if (!size) {
        engine_free(state, block);
        return NULL;
    }
    size_t old_size = moor_heap_room(block);
    bool may = size <= old_size || fits(state, size - old_size);
    void *moved = may ? moor_heap_resize(block, size) : NULL;
    if (!moved)
        return no_room(state, size);
    state->malloc_size += moor_heap_room(moved) - old_size;
    return moved;
}

static size_t engine_usable_size(const void *block)
{
    return moor_heap_room(block);
}

static bool our_function_runs(void)
{
    JSAtom module = JS_GetScriptOrModuleName(main_context, 0);
    if (module == JS_ATOM_NULL)
        return false;
    JS_FreeAtom(main_context, module);
    return true;
}

static int turn_took_too_long(JSRuntime *runtime, void *opaque)
{
    (void)runtime;
    (void)opaque;
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    // The engine asks every few thousand steps; most turns end before the first time, and need no clock at all.
    if (!turn_is_timed) {
        turn_is_timed = true;
        turn_began = now;
        return 0;
    }
    // Whole seconds alone would end a turn of a moment that a second ends in.
    int64_t used_ns = (int64_t)(now.tv_sec - turn_began.tv_sec) * 1000000000 + (now.tv_nsec - turn_began.tv_nsec);
    if (used_ns < (int64_t)TURN_CPU_SECONDS * 1000000000)
        return 0;
    if (!our_function_runs() && moments_let_go++ < MOST_MOMENTS_LET_GO)
        return 0;
    moor_limits_end_turn(); // the report of it, and the jobs behind it, get time of their own
    return 1;
}

// Names that somebody else has chosen shall not all have one hash (native/patches/hash-secret.patch). Without random numbers,
// early at boot, the time and the address of the stack are better than nothing.
static void draw_hash_secret(void)
{
    uint32_t secret;
    if (getrandom(&secret, sizeof secret, GRND_NONBLOCK) != sizeof secret) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        secret = (uint32_t)now.tv_nsec ^ (uint32_t)((uintptr_t)&now >> 4);
    }
    js_hash_secret = secret | 1; // even factors would lose bits
}

JSRuntime *moor_limits_new_runtime(void)
{
    static const JSMallocFunctions functions = {
        .js_malloc = engine_malloc,
        .js_free = engine_free,
        .js_realloc = engine_realloc,
        .js_malloc_usable_size = engine_usable_size,
    };
    draw_hash_secret();
    JSRuntime *runtime = JS_NewRuntime2(&functions, NULL);
    if (!runtime)
        return NULL;
    JS_SetMemoryLimit(runtime, MEMORY_LIMIT_BYTES);
    JS_SetMaxStackSize(runtime, JS_STACK_BYTES);
    return runtime;
}

void moor_limits_watch(JSContext *ctx)
{
    main_context = ctx;
    JS_SetInterruptHandler(JS_GetRuntime(ctx), turn_took_too_long, NULL);
}

void moor_limits_end_turn(void)
{
    turn_is_timed = false;
    moments_let_go = 0;
}

void moor_limits_memory(size_t *used, size_t *limit)
{
    *used = memory->malloc_size;
    *limit = MEMORY_LIMIT_BYTES;
}
