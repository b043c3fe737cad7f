// The event loop: a table of watches indexed by fd, over one level-triggered epoll. Each watch carries a generation in
// its epoll data, so that an event fetched for a watch that was removed within the same turn is recognised as stale.

#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "timers.h"

typedef struct Watch {
    moor_watch_fn *fn; // NULL: this fd is not watched
    void *opaque;
    uint32_t events; // 0: parked, the epoll does not know the fd
    uint32_t generation;
} Watch;

// How many events one turn takes at most; what is left over is reported again, as the epoll is level-triggered.
enum { EVENTS_PER_TURN = 64 };

static int epoll_fd = -1;
static Watch *watches;
static int capacity;
static uint32_t last_generation;
static size_t active_count; // watches that are not parked

int64_t moor_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int grow_to(int fd)
{
    if (fd < capacity)
        return 0;
    int wanted = capacity ? capacity : 32;
    while (wanted <= fd)
        wanted *= 2;
    Watch *grown = realloc(watches, (size_t)wanted * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    memset(grown + capacity, 0, (size_t)(wanted - capacity) * sizeof *grown);
    watches = grown;
    capacity = wanted;
    return 0;
}

static Watch *find(int fd)
{
    return fd >= 0 && fd < capacity && watches[fd].fn ? &watches[fd] : NULL;
}

// Makes the epoll's interest in fd what it shall be, and books it.
static int set_events(int fd, Watch *watch, uint32_t events)
{
    int operation = !events ? EPOLL_CTL_DEL : watch->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (!events && !watch->events)
        return 0;
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)watch->generation << 32 | (uint32_t)fd};
    // A fd that was closed before its watch was removed is gone from the epoll: removing it is done already.
    if (epoll_ctl(epoll_fd, operation, fd, &event) < 0 && operation != EPOLL_CTL_DEL)
        return -errno;
    if (!watch->events)
        active_count++;
    else if (!events)
        active_count--;
    watch->events = events;
    return 0;
}

int moor_loop_watch(int fd, uint32_t events, moor_watch_fn *fn, void *opaque)
{
    if (fd < 0)
        return -EBADF;
    if (find(fd))
        return -EEXIST;
    if (epoll_fd < 0 && (epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        return -errno;
    int status = grow_to(fd);
    if (status < 0)
        return status;
    Watch *watch = &watches[fd];
    *watch = (Watch){.fn = fn, .opaque = opaque, .generation = ++last_generation};
    status = set_events(fd, watch, events);
    if (status < 0)
        watch->fn = NULL;
    return status;
}

int moor_loop_rewatch(int fd, uint32_t events)
{
    Watch *watch = find(fd);
    return watch ? set_events(fd, watch, events) : -ENOENT;
}

int moor_loop_unwatch(int fd)
{
    Watch *watch = find(fd);
    if (!watch)
        return -ENOENT;
    set_events(fd, watch, 0);
    watch->fn = NULL;
    return 0;
}

bool moor_loop_used(void)
{
    return epoll_fd >= 0 || moor_timers_used();
}

static int wait_ms(int64_t next_ns)
{
    if (next_ns < 0)
        return -1;
    int64_t left_ns = next_ns - moor_monotonic_ns();
    if (left_ns <= 0)
        return 0;
    int64_t left_ms = (left_ns + 999999) / 1000000; // rounded up: waking early would only wait again
    return left_ms > 3600 * 1000 ? 3600 * 1000 : (int)left_ms;
}

static void deliver(const struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64;
    Watch *watch = find(fd);
    if (!watch || watch->generation != (uint32_t)(event->data.u64 >> 32))
        return;
    // What a callback of this turn no longer asks for is not reported, even if it was fetched before.
    uint32_t wanted = event->events & (watch->events | EPOLLERR | EPOLLHUP);
    if (wanted && watch->events)
        watch->fn(watch->opaque, wanted);
}

int moor_loop_run(void (*after)(void *opaque), void *opaque)
{
    for (;;) {
        int64_t next_ns = moor_timers_next_ns();
        if (next_ns < 0 && active_count == 0)
            return 0;
        if (epoll_fd < 0 && (epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
            return -errno;
        struct epoll_event events[EVENTS_PER_TURN];
        int count = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, wait_ms(next_ns));
        if (count < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < count; i++) {
            deliver(&events[i]);
            after(opaque);
        }
        moor_timers_fire(moor_monotonic_ns(), after, opaque);
    }
}
