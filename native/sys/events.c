// sys, "loop": timers, readiness and signals, each event of which calls one JavaScript function.

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "../host/loop.h"
#include "glue.h"
#include "module.h"

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR && POLLHUP == EPOLLHUP,
               "poll's and epoll's events are the same bits");

// A JavaScript function that waits for one timer, or for one fd's readiness.
typedef struct Waiter {
    MoorCallback callback;
    int fd; // of a poll
    struct Waiter *next;
} Waiter;

static Waiter *polls;
static struct {
    int fd; // -1 as long as signalStart has not been called
    MoorCallback callback;
} signals = {.fd = -1};

static Waiter *new_waiter(JSContext *ctx, JSValueConst function)
{
    Waiter *waiter = calloc(1, sizeof *waiter);
    if (!waiter) {
        JS_ThrowOutOfMemory(ctx);
        return NULL;
    }
    if (moor_callback_take(ctx, &waiter->callback, function, "fn")) {
        free(waiter);
        return NULL;
    }
    return waiter;
}

static void free_waiter(Waiter *waiter)
{
    moor_callback_drop(&waiter->callback);
    free(waiter);
}

// ---- timers ----

static void timer_fired(void *opaque)
{
    Waiter *waiter = opaque;
    moor_callback_call(&waiter->callback, 0, NULL);
    free_waiter(waiter);
}

static JSValue js_timer_start(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    double delay_ms;
    if (moor_arg_double(ctx, argv[0], "delayMs", &delay_ms))
        return JS_EXCEPTION;
    Waiter *waiter = new_waiter(ctx, argv[1]);
    if (!waiter)
        return JS_EXCEPTION;
    moor_timer_id id = moor_loop_timer_start(delay_ms, timer_fired, waiter);
    if (!id) {
        free_waiter(waiter);
        return JS_ThrowOutOfMemory(ctx);
    }
    return JS_NewInt64(ctx, id);
}

static JSValue js_timer_stop(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                             JSValueConst *argv)
{
    int64_t id;
    void *waiter;
    if (moor_arg_int64(ctx, argv[0], "id", &id))
        return JS_EXCEPTION;
    if (moor_loop_timer_stop(id, timer_fired, &waiter))
        free_waiter(waiter);
    return JS_UNDEFINED;
}

static JSValue js_sleep_ms(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    double duration_ms;
    if (moor_arg_double(ctx, argv[0], "durationMs", &duration_ms))
        return JS_EXCEPTION;
    if (duration_ms > 0) {
        struct timespec left = {.tv_sec = (time_t)(duration_ms / 1000)};
        left.tv_nsec = (long)((duration_ms - (double)left.tv_sec * 1000) * 1e6);
        while (nanosleep(&left, &left) < 0 && errno == EINTR)
            continue;
    }
    return JS_UNDEFINED;
}

// ---- readiness ----

static Waiter **find_poll(int fd)
{
    Waiter **at = &polls;
    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    return at;
}

static void fd_ready(void *opaque, uint32_t events)
{
    Waiter *waiter = opaque;
    JSValue argument = JS_NewInt32(waiter->callback.ctx, (int32_t)events);
    moor_callback_call(&waiter->callback, 1, &argument);
}

static int arg_events(JSContext *ctx, JSValueConst value, uint32_t *events)
{
    if (moor_arg_uint32(ctx, value, "events", events))
        return -1;
    *events &= POLLIN | POLLOUT | POLLERR | POLLHUP;
    return 0;
}

static JSValue js_poll_start(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                             JSValueConst *argv)
{
    int fd;
    uint32_t events;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || arg_events(ctx, argv[1], &events))
        return JS_EXCEPTION;
    Waiter *waiter = new_waiter(ctx, argv[2]);
    if (!waiter)
        return JS_EXCEPTION;
    int status = moor_loop_watch(fd, events, fd_ready, waiter);
    if (status < 0) {
        free_waiter(waiter);
        return JS_NewInt32(ctx, status);
    }
    waiter->fd = fd;
    waiter->next = polls;
    polls = waiter;
    return JS_NewInt32(ctx, 0);
}

static JSValue js_poll_change(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    int fd;
    uint32_t events;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || arg_events(ctx, argv[1], &events))
        return JS_EXCEPTION;
    return JS_NewInt32(ctx, *find_poll(fd) ? moor_loop_rewatch(fd, events) : -ENOENT);
}

static JSValue js_poll_stop(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                            JSValueConst *argv)
{
    int fd;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    Waiter **at = find_poll(fd);
    Waiter *waiter = *at;
    if (!waiter)
        return JS_NewInt32(ctx, -ENOENT);
    *at = waiter->next;
    int status = moor_loop_unwatch(fd);
    free_waiter(waiter);
    return JS_NewInt32(ctx, status);
}

// ---- signals ----

// One signal a turn: the fd stays readable while there are more, and each call has its jobs drained after it.
static void signal_ready(void *opaque MOOR_UNUSED, uint32_t events MOOR_UNUSED)
{
    struct signalfd_siginfo info;
    if (read(signals.fd, &info, sizeof info) != sizeof info)
        return;
    JSContext *ctx = signals.callback.ctx;
    JSValue arguments[2] = {JS_NewInt32(ctx, (int32_t)info.ssi_signo), JS_NewInt32(ctx, (int32_t)info.ssi_pid)};
    moor_callback_call(&signals.callback, 2, arguments);
}

static int arg_signals(JSContext *ctx, JSValueConst value, sigset_t *set)
{
    if (JS_IsArray(ctx, value) != 1) {
        JS_ThrowTypeError(ctx, "sys: signals must be an array of numbers");
        return -1;
    }
    JSValue length_value = JS_GetPropertyStr(ctx, value, "length");
    uint32_t length;
    if (moor_arg_uint32(ctx, length_value, "signals", &length))
        return -1;
    sigemptyset(set);
    for (uint32_t i = 0; i < length; i++) {
        JSValue element = JS_GetPropertyUint32(ctx, value, i);
        int number;
        int failed = moor_arg_int(ctx, element, "signals", &number);
        JS_FreeValue(ctx, element);
        if (failed)
            return -1;
        if (sigaddset(set, number) < 0) {
            JS_ThrowTypeError(ctx, "sys: %d is not a signal", number);
            return -1;
        }
    }
    return 0;
}

static JSValue js_signal_start(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                               JSValueConst *argv)
{
    sigset_t set;
    if (arg_signals(ctx, argv[0], &set))
        return JS_EXCEPTION;
    if (signals.fd >= 0)
        return JS_NewInt32(ctx, -EEXIST);
    MoorCallback callback;
    if (moor_callback_take(ctx, &callback, argv[1], "fn"))
        return JS_EXCEPTION;
    int status = 0;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        status = -errno;
    else
        status = moor_loop_watch(fd, EPOLLIN, signal_ready, NULL);
    if (status < 0) {
        if (fd >= 0)
            close(fd);
        moor_callback_drop(&callback);
        return JS_NewInt32(ctx, status);
    }
    signals.fd = fd;
    signals.callback = callback;
    return JS_NewInt32(ctx, 0);
}

void moor_sys_close_events(void)
{
    while (polls) {
        Waiter *waiter = polls;
        polls = waiter->next;
        moor_loop_unwatch(waiter->fd);
        free_waiter(waiter);
    }
    moor_callback_drop(&signals.callback);
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("timerStart", 2, js_timer_start),   MOOR_FN("timerStop", 1, js_timer_stop),
    MOOR_FN("sleepMs", 1, js_sleep_ms),         MOOR_FN("pollStart", 3, js_poll_start),
    MOOR_FN("pollChange", 2, js_poll_change),   MOOR_FN("pollStop", 1, js_poll_stop),
    MOOR_FN("signalStart", 2, js_signal_start),
};
MOOR_SYS_PART(loop, funcs)
