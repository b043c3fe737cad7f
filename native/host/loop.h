// The event loop for C code: one level-triggered epoll, one heap of timers. It knows nothing of the engine; whoever wants
// JavaScript called from an event does that in its own callback (see moor_callback in sys/glue.h).
//
// Rules: one watch per fd; a watch is removed before its fd is closed; a callback may add, change and remove any watch or
// timer, its own included: an event or timer removed during a turn is not delivered any more in that turn, even when the
// same fd number is watched anew. The epoll fd is made at first use, so that a fork before that shares nothing.
#ifndef MOOR_HOST_LOOP_H
#define MOOR_HOST_LOOP_H

#include <stdbool.h>
#include <stdint.h>

typedef void moor_watch_fn(void *opaque, uint32_t events);
typedef void moor_timer_fn(void *opaque);

// 0 is never the id of a timer. Every id is below 2^53, so that it survives as a JavaScript number.
typedef int64_t moor_timer_id;

// Starts to watch fd for events (EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP; EPOLLET may be or-ed). The kernel
// reports EPOLLERR and EPOLLHUP unasked, over and over while they last; events == 0 parks the watch: nothing at all is
// reported until moor_loop_rewatch. 0, -EEXIST when fd is watched, -EPERM for a regular file, other -errno of epoll_ctl.
int moor_loop_watch(int fd, uint32_t events, moor_watch_fn *fn, void *opaque);
// New events for a watched fd (0 parks it). 0, or -ENOENT when it is not watched.
int moor_loop_rewatch(int fd, uint32_t events);
// 0, or -ENOENT when it is not watched.
int moor_loop_unwatch(int fd);

// Calls fn once, delay_ms from now by the monotonic clock, never from within this call; with 0 or less in the next turn
// of the loop. Timers with the same time fire in the order they were started. The id, or 0 when memory is exhausted.
moor_timer_id moor_loop_timer_start(double delay_ms, moor_timer_fn *fn, void *opaque);
// Whether there was such a timer, still to fire and started with this fn; the opaque pointer of a stopped timer, which
// belongs to the caller again, is put into *opaque unless that is NULL.
bool moor_loop_timer_stop(moor_timer_id id, moor_timer_fn *fn, void **opaque);

// Whether the loop has been used in any way (from then on fork is refused).
bool moor_loop_used(void);
// Runs until no watch and no timer is left. after is called after each callback (the engine's jobs are drained there).
// 0, or -errno when epoll_wait fails.
int moor_loop_run(void (*after)(void *opaque), void *opaque);
// Nanoseconds of CLOCK_MONOTONIC.
int64_t moor_monotonic_ns(void);

#endif
