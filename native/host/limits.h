// What the engine may use: memory, stack, and processor time within one turn of the loop.
#ifndef MOOR_HOST_LIMITS_H
#define MOOR_HOST_LIMITS_H

#include <stddef.h>

#include "../sys/glue.h"

enum { MOOR_EXIT_NO_MEMORY = 70 };

// A runtime with limits for memory and stack, or NULL.
JSRuntime *moor_limits_new_runtime(void);
// Begins to watch the processor time of turns in this context.
void moor_limits_watch(JSContext *ctx);
// The turn is over: the next JavaScript that runs begins a new one, with its own processor time.
void moor_limits_end_turn(void);
// Bytes the engine holds now, and its limit.
void moor_limits_memory(size_t *used, size_t *limit);

#endif
