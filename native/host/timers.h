// The heap of timers behind the loop's timer functions (loop.h). Only loop.c calls these.
#ifndef MOOR_HOST_TIMERS_H
#define MOOR_HOST_TIMERS_H

#include "loop.h"

// Nanoseconds of CLOCK_MONOTONIC at which the next timer is due, or -1 without any.
int64_t moor_timers_next_ns(void);
// Fires what was due at now_ns and had been started before this call; after is called after each.
void moor_timers_fire(int64_t now_ns, void (*after)(void *opaque), void *opaque);
// Whether a timer was ever started.
bool moor_timers_used(void);

#endif
