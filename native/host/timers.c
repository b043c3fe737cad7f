// Timers: a binary heap ordered by time and, within the same time, by the order of their start. A timer is found by its
// id by looking through the heap: there are a few per request under way, so an index would cost more than it saves.

#include "timers.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct Timer {
    int64_t at_ns;
    moor_timer_id id; // counts upwards, so it is the order of starts too
    moor_timer_fn *fn;
    void *opaque;
} Timer;

static Timer *heap;
static size_t count, capacity;
static moor_timer_id last_id;

static bool before(const Timer *a, const Timer *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->id < b->id;
}

static void sift_up(size_t at)
{
    Timer moving = heap[at];
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!before(&moving, &heap[parent]))
            break;
        heap[at] = heap[parent];
        at = parent;
    }
    heap[at] = moving;
}

static void sift_down(size_t at)
{
    Timer moving = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &moving))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

static void take_out(size_t at)
{
    count--;
    if (at == count)
        return;
    heap[at] = heap[count];
    sift_down(at);
    sift_up(at);
}

static size_t find(moor_timer_id id)
{
    size_t at = 0;
    while (at < count && heap[at].id != id)
        at++;
    return at;
}

moor_timer_id moor_loop_timer_start(double delay_ms, moor_timer_fn *fn, void *opaque)
{
    // A year is for ever here, and keeps the sum below far from overflow.
    static const double longest_ms = 366.0 * 24 * 3600 * 1000;
    if (count == capacity) {
        size_t wanted = capacity ? capacity * 2 : 16;
        Timer *grown = realloc(heap, wanted * sizeof *grown);
        if (!grown)
            return 0;
        heap = grown;
        capacity = wanted;
    }
    if (!(delay_ms > 0))
        delay_ms = 0;
    if (delay_ms > longest_ms)
        delay_ms = longest_ms;
    heap[count] = (Timer){
        .at_ns = moor_monotonic_ns() + (int64_t)ceil(delay_ms * 1e6), .id = ++last_id, .fn = fn, .opaque = opaque};
    sift_up(count++);
    return last_id;
}

bool moor_loop_timer_stop(moor_timer_id id, moor_timer_fn *fn, void **opaque)
{
    size_t at = find(id);
    if (at == count || heap[at].fn != fn)
        return false;
    if (opaque)
        *opaque = heap[at].opaque;
    take_out(at);
    return true;
}

int64_t moor_timers_next_ns(void)
{
    return count ? heap[0].at_ns : -1;
}

void moor_timers_fire(int64_t now_ns, void (*after)(void *opaque), void *opaque)
{
    // What a timer starts now waits for the next turn, so that a timer of 0 ms that starts itself anew starves nothing.
    // Its time is not before now_ns, and among equals the later id comes later: the first such one ends this turn.
    moor_timer_id newest = last_id;
    while (count && heap[0].at_ns <= now_ns && heap[0].id <= newest) {
        Timer due = heap[0];
        take_out(0);
        due.fn(due.opaque);
        after(opaque);
    }
}

bool moor_timers_used(void)
{
    return last_id != 0;
}
