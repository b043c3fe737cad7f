// sys, "pump": bytes from one fd to another without entering JavaScript. Between two pipes they are spliced, and the pump
// holds none; where splice cannot (a PTY, a file, a socket) they go through one buffer that all pumps share, and only
// what the target did not take at once is kept in memory of the pump's own.
//
// Pumps and what they hold lie in the kept memory (host/kept.h): the image of the program that goes on after a crash finds
// them there. A crash that is sent to us waits until bytes that were read are written or held.
//
// A pump waits for one side at a time, and the watch of the other is parked: a FIFO whose reader has left would report
// that again and again. What it has to say is said from the loop, as the last thing of a turn.

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../host/crash.h"
#include "../host/kept.h"
#include "../host/loop.h"
#include "glue.h"
#include "module.h"

// What one pump may do in a turn of the loop before the others have theirs.
enum { BYTES_PER_TURN = 256 * 1024, CALLS_PER_TURN = 16, BUFFER_BYTES = 32 * 1024 };
// A stream with so many in one turn is a busy one.
enum { BUSY_BYTES = 64 * 1024 };

typedef enum Side { SOURCE, TARGET } Side;

// What became of one try to move bytes.
typedef enum Step { MOVED, SOURCE_EMPTY, TARGET_FULL, SOURCE_ENDED, TARGET_CLOSED, FAILED } Step;

// Why a pump is over; its name is what JavaScript is told.
typedef enum Reason { NOT_OVER, AT_EOF, CLOSED, BROKEN } Reason;
static const char *const reasons[] = {[AT_EOF] = "eof", [CLOSED] = "closed", [BROKEN] = "failed"};

typedef struct Pump {
    int64_t id;
    int fds[2];      // by Side; -1 once the pump is over
    bool watched[2]; // false: a regular file or the like, which is always ready
    bool splices;
    int pipe_size; // still to be asked for; 0: nothing
    Side waits_for;
    moor_timer_id turn; // a turn that no fd brings: an answer that is due, or a side that is always ready
    uint8_t *held;      // read and not yet written; NULL when there is nothing
    uint32_t held_at;   // the same for the next image
    size_t held_bytes, held_done;
    uint64_t bytes;
    Reason reason;
    int error; // -errno for BROKEN
    MoorCallback ended, drained;
    struct Pump *next;
} Pump;

static Pump *pumps;
static int64_t last_id;
static uint8_t shared_buffer[BUFFER_BYTES];

// ---- the end ----

static Pump *find(int64_t id)
{
    Pump *pump = pumps;
    while (pump && (pump->id != id || pump->reason))
        pump = pump->next;
    return pump;
}

static void free_pump(Pump *pump)
{
    Pump **at = &pumps;
    while (*at != pump)
        at = &(*at)->next;
    *at = pump->next;
    moor_callback_drop(&pump->ended);
    moor_callback_drop(&pump->drained);
    moor_kept_free(pump);
}

static JSValue new_end(JSContext *ctx, const Pump *pump)
{
    JSValue end = JS_NewObject(ctx);
    if (JS_IsException(end))
        return end;
    if (moor_set(ctx, end, "reason", JS_NewString(ctx, reasons[pump->reason])) || moor_set_int(ctx, end, "errno", pump->error) ||
        moor_set(ctx, end, "bytes", moor_new_bigint(ctx, (int64_t)pump->bytes))) {
        JS_FreeValue(ctx, end);
        return JS_EXCEPTION;
    }
    return end;
}

// Answers who waits for the drain. Always the last thing of a turn: what is called may stop the pump.
static void answer_drained(Pump *pump, const char *why)
{
    MoorCallback drained = pump->drained;
    pump->drained.ctx = NULL;
    JSValue argument = JS_NewString(drained.ctx, why);
    moor_callback_call(&drained, 1, &argument);
    moor_callback_drop(&drained);
}

// The pump's last words, one a turn: first to who waits for the drain, then to who started it.
static void say_end(void *opaque)
{
    Pump *pump = opaque;
    if (pump->drained.ctx) {
        pump->turn = moor_loop_timer_start(0, say_end, pump);
        answer_drained(pump, "ended");
        if (pump->turn)
            return; // else memory is exhausted, and both are said in one turn
    }
    JSContext *ctx = pump->ended.ctx;
    MoorCallback ended = pump->ended;
    pump->ended.ctx = NULL;
    JSValue argument = new_end(ctx, pump);
    if (JS_IsException(argument)) { // out of memory: the end itself must not be lost
        JS_FreeValue(ctx, JS_GetException(ctx));
        argument = JS_UNDEFINED;
    }
    free_pump(pump);
    moor_callback_call(&ended, 1, &argument);
    moor_callback_drop(&ended);
}

static void take_turn(void *opaque);

static void let_go_of_held(Pump *pump)
{
    if (pump->held)
        moor_kept_free(pump->held);
    pump->held = NULL;
    pump->held_at = 0;
}

// Lets go of everything but the record of how it ended.
static void finish(Pump *pump, Reason reason, int error)
{
    pump->reason = reason;
    pump->error = error;
    for (int side = SOURCE; side <= TARGET; side++) {
        if (pump->watched[side])
            moor_loop_unwatch(pump->fds[side]);
        if (pump->fds[side] >= 0)
            close(pump->fds[side]);
        pump->fds[side] = -1;
    }
    if (pump->turn)
        moor_loop_timer_stop(pump->turn, take_turn, NULL);
    pump->turn = 0;
    let_go_of_held(pump);
}

// ---- moving ----

// Whether the last call failed with EIO because the PTY's other side is gone, and not because a disk is bad.
static bool is_hung_up(int fd)
{
    struct stat status;
    return errno == EIO && fstat(fd, &status) == 0 && S_ISCHR(status.st_mode);
}

// splice answers EAGAIN for an empty source and for a full target, and a full target hides a source that has ended.
static Step why_again(const Pump *pump)
{
    struct pollfd source = {.fd = pump->fds[SOURCE], .events = POLLIN};
    if (poll(&source, 1, 0) < 0)
        return SOURCE_EMPTY;
    if (source.revents & POLLIN)
        return TARGET_FULL;
    return source.revents & POLLHUP ? SOURCE_ENDED : SOURCE_EMPTY;
}

static Step splice_step(Pump *pump, size_t most)
{
    ssize_t moved = splice(pump->fds[SOURCE], NULL, pump->fds[TARGET], NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved > 0) {
        pump->bytes += (uint64_t)moved;
        return MOVED;
    }
    if (moved == 0)
        return SOURCE_ENDED;
    if (errno == EAGAIN)
        return why_again(pump);
    return errno == EINTR ? MOVED : errno == EPIPE ? TARGET_CLOSED : FAILED;
}

// Writes as much as the target takes; *done counts it. MOVED when all is written.
static Step write_out(Pump *pump, const uint8_t *data, size_t size, size_t *done)
{
    while (*done < size) {
        ssize_t written = write(pump->fds[TARGET], data + *done, size - *done);
        if (written >= 0) {
            *done += (size_t)written;
            pump->bytes += (uint64_t)written;
        } else if (errno == EAGAIN) {
            return TARGET_FULL;
        } else if (errno != EINTR) {
            return errno == EPIPE || is_hung_up(pump->fds[TARGET]) ? TARGET_CLOSED : FAILED;
        }
    }
    return MOVED;
}

static Step copy_step(Pump *pump, size_t most)
{
    if (pump->held) {
        Step step = write_out(pump, pump->held, pump->held_bytes, &pump->held_done);
        if (step == MOVED)
            let_go_of_held(pump);
        return step;
    }
    ssize_t got = read(pump->fds[SOURCE], shared_buffer, most < BUFFER_BYTES ? most : BUFFER_BYTES);
    if (got == 0)
        return SOURCE_ENDED;
    if (got < 0) {
        if (errno == EAGAIN)
            return SOURCE_EMPTY;
        return errno == EINTR ? MOVED : is_hung_up(pump->fds[SOURCE]) ? SOURCE_ENDED : FAILED;
    }
    size_t done = 0;
    Step step = write_out(pump, shared_buffer, (size_t)got, &done);
    if (step != TARGET_FULL)
        return step;
    pump->held_bytes = (size_t)got - done;
    pump->held_done = 0;
    pump->held = moor_kept_new(MOOR_KEPT_HELD, pump->held_bytes);
    if (!pump->held) {
        errno = ENOMEM;
        return FAILED;
    }
    pump->held_at = moor_kept_offset(pump->held);
    memcpy(pump->held, shared_buffer + done, pump->held_bytes);
    return TARGET_FULL;
}

// Waits for one side; the other is silent meanwhile. 0 or -errno.
static int wait_for(Pump *pump, Side side)
{
    Side other = side == SOURCE ? TARGET : SOURCE;
    pump->waits_for = side;
    if (pump->watched[other])
        moor_loop_rewatch(pump->fds[other], 0);
    int status = pump->watched[side] ? moor_loop_rewatch(pump->fds[side], side == SOURCE ? EPOLLIN : EPOLLOUT) : 0;
    if (status == -EPERM) { // epoll takes no regular file: it is always ready
        moor_loop_unwatch(pump->fds[side]);
        pump->watched[side] = false;
        status = 0;
    }
    if (status == 0 && !pump->watched[side] && !pump->turn) {
        pump->turn = moor_loop_timer_start(0, take_turn, pump);
        if (!pump->turn)
            status = -ENOMEM;
    }
    return status;
}

// A bigger pipe on either side, for a stream that has filled one: most streams never do, and stay small.
static void grow_pipes(Pump *pump)
{
    // A wish: the user's limit may be reached (EPERM), and what is no pipe says EBADF.
    for (int side = SOURCE; side <= TARGET; side++)
        (void)fcntl(pump->fds[side], F_SETPIPE_SZ, pump->pipe_size);
    pump->pipe_size = 0;
}

// Moves bytes until a side gives out, the pump's share of the turn is used up, or the stream is over.
static Step move(Pump *pump)
{
    uint64_t before = pump->bytes, limit = before + BYTES_PER_TURN;
    Step step = MOVED;
    for (int calls = 0; step == MOVED && calls < CALLS_PER_TURN && pump->bytes < limit; calls++) {
        size_t most = (size_t)(limit - pump->bytes);
        moor_crash_hold();
        step = pump->splices ? splice_step(pump, most) : copy_step(pump, most);
        int error = errno;
        moor_crash_release();
        errno = error;
        if (pump->pipe_size && (step == TARGET_FULL || pump->bytes - before >= BUSY_BYTES)) {
            grow_pipes(pump);
            step = step == TARGET_FULL ? MOVED : step; // there may be room now
        }
    }
    return step;
}

// One turn of a pump, from its watches and its timer.
static void run(Pump *pump)
{
    Step step = move(pump);
    int error = -errno;
    bool more = step <= TARGET_FULL;
    if (more) {
        error = wait_for(pump, step == TARGET_FULL || pump->held ? TARGET : SOURCE);
        more = error == 0;
    }
    if (!more) {
        finish(pump, step == SOURCE_ENDED ? AT_EOF : step == TARGET_CLOSED ? CLOSED : BROKEN,
               step == SOURCE_ENDED || step == TARGET_CLOSED ? 0 : error);
        say_end(pump);
    } else if (pump->drained.ctx && step != MOVED) {
        answer_drained(pump, step == SOURCE_EMPTY ? "empty" : "full");
    }
}

static void take_turn(void *opaque)
{
    Pump *pump = opaque;
    pump->turn = 0;
    run(pump);
}

static void side_ready(void *opaque, uint32_t events MOOR_UNUSED)
{
    run(opaque);
}

// ---- what JavaScript calls ----

static bool is_pipe(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

static int watch_both(Pump *pump, Side first)
{
    for (int side = SOURCE; side <= TARGET; side++) {
        int status = moor_loop_watch(pump->fds[side], 0, side_ready, pump);
        if (status < 0)
            return status;
        pump->watched[side] = true;
    }
    return wait_for(pump, first);
}

// Makes both fds ready to be pumped: 0 or -errno.
static int set_up(Pump *pump, int pipe_size)
{
    bool pipes[2];
    if (pump->fds[SOURCE] == pump->fds[TARGET])
        return -EINVAL;
    for (int side = SOURCE; side <= TARGET; side++) {
        int fd = pump->fds[side];
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
            return -errno;
        pipes[side] = is_pipe(fd);
    }
    pump->pipe_size = pipe_size > 0 ? pipe_size : 0;
    pump->splices = pipes[SOURCE] && pipes[TARGET];
    return watch_both(pump, SOURCE);
}

// The request's fds and pipe size; -1 with a TypeError. Fds that were understood are handed over all the same.
static int read_request(JSContext *ctx, JSValueConst request, int fds[2], int *pipe_size)
{
    static const char *const names[] = {"takeSourceFd", "takeTargetFd"};
    int failed = 0;
    *pipe_size = 0;
    for (int side = SOURCE; side <= TARGET && !failed; side++) {
        JSValue value = moor_get(ctx, request, names[side]);
        failed = JS_IsException(value) || moor_arg_int(ctx, value, names[side], &fds[side]);
        JS_FreeValue(ctx, value);
    }
    if (failed)
        return -1;
    JSValue size = moor_get(ctx, request, "pipeSize");
    failed = JS_IsException(size) || (!JS_IsUndefined(size) && moor_arg_int(ctx, size, "pipeSize", pipe_size));
    JS_FreeValue(ctx, size);
    return failed ? -1 : 0;
}

// Undoes a start that failed: the fds were handed over, so they are closed, once each.
static void give_up(Pump *pump)
{
    if (pump->fds[TARGET] == pump->fds[SOURCE])
        pump->fds[TARGET] = -1;
    finish(pump, BROKEN, 0);
    free_pump(pump);
}

static JSValue js_pump_start(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                             JSValueConst *argv)
{
    Pump *pump = moor_kept_new(MOOR_KEPT_PUMP, sizeof *pump);
    if (!pump)
        return JS_ThrowOutOfMemory(ctx);
    pump->fds[SOURCE] = pump->fds[TARGET] = -1;
    pump->id = ++last_id;
    pump->next = pumps;
    pumps = pump;
    int pipe_size;
    if (read_request(ctx, argv[0], pump->fds, &pipe_size) ||
        moor_callback_take(ctx, &pump->ended, argv[1], "fn")) {
        give_up(pump);
        return JS_EXCEPTION;
    }
    int status = set_up(pump, pipe_size);
    if (status < 0) {
        give_up(pump);
        return JS_NewInt32(ctx, status);
    }
    return JS_NewInt64(ctx, pump->id);
}

// After a crash: the pumps of the image before stand still until each has got its function.
void moor_pumps_resume(void)
{
    for (Pump *pump = NULL; (pump = moor_kept_next(MOOR_KEPT_PUMP, pump));) {
        pump->held = moor_kept_at(pump->held_at);
        for (int side = SOURCE; side <= TARGET; side++) {
            pump->watched[side] = false;
            fcntl(pump->fds[side], F_SETFD, FD_CLOEXEC);
        }
        pump->turn = 0;
        pump->ended = pump->drained = (MoorCallback){0};
        pump->next = pumps;
        pumps = pump;
        if (pump->id > last_id)
            last_id = pump->id;
    }
}

void moor_pumps_drop_rest(void)
{
    for (Pump *pump = pumps, *next; pump; pump = next) {
        next = pump->next;
        if (pump->ended.ctx)
            continue;
        finish(pump, CLOSED, 0);
        free_pump(pump);
    }
}

static JSValue js_pump_resume(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    int64_t id;
    MoorCallback ended;
    if (moor_arg_int64(ctx, argv[0], "id", &id) || moor_callback_take(ctx, &ended, argv[1], "fn"))
        return JS_EXCEPTION;
    Pump *pump = pumps;
    while (pump && (pump->id != id || pump->ended.ctx))
        pump = pump->next;
    if (!pump) {
        moor_callback_drop(&ended);
        return JS_NewInt32(ctx, -ENOENT);
    }
    pump->ended = ended;
    int status = pump->reason ? 0 : watch_both(pump, pump->held ? TARGET : pump->waits_for);
    if (status < 0)
        finish(pump, BROKEN, status);
    if (pump->reason)
        pump->turn = moor_loop_timer_start(0, say_end, pump);
    return JS_NewInt32(ctx, 0);
}

static JSValue js_pump_drained(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                               JSValueConst *argv)
{
    int64_t id;
    MoorCallback drained;
    if (moor_arg_int64(ctx, argv[0], "id", &id) || moor_callback_take(ctx, &drained, argv[1], "fn"))
        return JS_EXCEPTION;
    Pump *pump = find(id);
    // Its next turn answers, and that comes at once, whatever the fds have to say.
    if (pump && !pump->turn)
        pump->turn = moor_loop_timer_start(0, take_turn, pump);
    if (!pump || !pump->turn) {
        moor_callback_drop(&drained);
        return JS_NewInt32(ctx, pump ? -ENOMEM : -ENOENT);
    }
    moor_callback_drop(&pump->drained);
    pump->drained = drained;
    return JS_NewInt32(ctx, 0);
}

static JSValue js_pump_stop(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                            JSValueConst *argv)
{
    int64_t id;
    if (moor_arg_int64(ctx, argv[0], "id", &id))
        return JS_EXCEPTION;
    Pump *pump = find(id);
    if (!pump)
        return JS_NewInt32(ctx, -ENOENT);
    // The timer that is to say so comes first: without it the pump goes on.
    moor_timer_id turn = moor_loop_timer_start(0, say_end, pump);
    if (!turn)
        return JS_NewInt32(ctx, -ENOMEM);
    finish(pump, CLOSED, 0);
    pump->turn = turn;
    return JS_NewInt32(ctx, 0);
}

static JSValue js_pump_state(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                             JSValueConst *argv)
{
    int64_t id;
    if (moor_arg_int64(ctx, argv[0], "id", &id))
        return JS_EXCEPTION;
    const Pump *pump = find(id);
    if (!pump)
        return JS_NewInt32(ctx, -ENOENT);
    int64_t buffered = pump->held ? (int64_t)(pump->held_bytes - pump->held_done) : 0;
    JSValue state = JS_NewObject(ctx);
    if (JS_IsException(state))
        return state;
    if (moor_set(ctx, state, "bytes", moor_new_bigint(ctx, (int64_t)pump->bytes)) ||
        moor_set_int(ctx, state, "buffered", buffered) ||
        moor_set(ctx, state, "waitsFor", JS_NewString(ctx, pump->waits_for == SOURCE ? "source" : "target"))) {
        JS_FreeValue(ctx, state);
        return JS_EXCEPTION;
    }
    return state;
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("pumpStart", 2, js_pump_start),
    MOOR_FN("pumpResume", 2, js_pump_resume),
    MOOR_FN("pumpDrained", 2, js_pump_drained),
    MOOR_FN("pumpStop", 1, js_pump_stop),
    MOOR_FN("pumpState", 1, js_pump_state),
};
MOOR_SYS_PART(pump, funcs)
