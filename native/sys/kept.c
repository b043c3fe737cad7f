// sys, "kept": what JavaScript writes down so that the image of the program that goes on after a crash knows it, and what
// that image finds. A record is plain bytes; it is replaced as a whole, so that there is always one that is whole.

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../host/crash.h"
#include "../host/engine.h"
#include "../host/kept.h"
#include "children.h"
#include "follow.h"
#include "glue.h"
#include "module.h"

typedef struct Record {
    uint64_t number; // in the order of writing
    uint32_t size, sum;
    uint8_t bytes[];
} Record;

static bool resumed, touched;
static MoorCallback writer;

// FNV-1a: a record that a stray write has changed is left out, not believed.
static uint32_t sum_of(const uint8_t *bytes, size_t size)
{
    uint32_t sum = 2166136261u;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 16777619u;
    return sum;
}

int moor_kept_go_on(int fd, char **argv, char **environment)
{
    int status = moor_kept_resume(fd);
    if (status < 0)
        return status;
    resumed = true;
    status = moor_crash_arm(argv, environment);
    moor_follow_resume();
    moor_pumps_resume();
    return status;
}

void moor_kept_end_turn(void)
{
    if (touched) {
        touched = false;
        moor_callback_call(&writer, 0, NULL);
    }
    moor_children_forget_reaped();
}

void moor_kept_close(void)
{
    moor_callback_drop(&writer);
}

// ---- writing ----

static JSValue js_keep_start(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                             JSValueConst *argv)
{
    MoorCallback function;
    if (moor_callback_take(ctx, &function, argv[0], "write"))
        return JS_EXCEPTION;
    moor_callback_drop(&writer);
    writer = function;
    if (resumed)
        return JS_NewInt32(ctx, 0);
    int status = moor_kept_start();
    if (status == 0)
        status = moor_crash_arm(moor_engine_argv(), moor_engine_environment());
    return JS_NewInt32(ctx, status);
}

static Record *record_of(JSContext *ctx, JSValueConst value, const char *name, bool *failed)
{
    int64_t handle;
    *failed = moor_arg_int64(ctx, value, name, &handle);
    return *failed || handle <= 0 || handle > UINT32_MAX ? NULL : moor_kept_at((uint32_t)handle);
}

static JSValue js_keep(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    uint8_t *data;
    size_t size;
    bool failed;
    Record *old = record_of(ctx, argv[1], "replaces", &failed);
    if (failed || moor_arg_bytes(ctx, argv[0], "bytes", &data, &size))
        return JS_EXCEPTION;
    if (!moor_kept_on())
        return JS_NewInt32(ctx, 0);
    moor_crash_hold();
    Record *record = moor_kept_new(MOOR_KEPT_RECORD, sizeof *record + size);
    if (record) {
        record->size = (uint32_t)size;
        record->sum = sum_of(data, size);
        memcpy(record->bytes, data, size);
        record->number = moor_kept_number(); // valid from now on
        if (old)
            moor_kept_free(old);
    }
    moor_crash_release();
    return record ? JS_NewInt64(ctx, moor_kept_offset(record)) : JS_NewInt32(ctx, -ENOMEM);
}

static JSValue js_keep_drop(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                            JSValueConst *argv)
{
    bool failed;
    Record *record = record_of(ctx, argv[0], "handle", &failed);
    if (failed)
        return JS_EXCEPTION;
    if (record)
        moor_kept_free(record);
    return JS_UNDEFINED;
}

static JSValue js_keep_touch(JSContext *ctx MOOR_UNUSED, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                             JSValueConst *argv MOOR_UNUSED)
{
    touched = writer.ctx;
    return JS_UNDEFINED;
}

static JSValue js_follow_requests(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                  JSValueConst *argv)
{
    int fd;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    return JS_NewInt32(ctx, moor_follow_start(fd));
}

// ---- what is found ----

// Adds to an array; the value is freed. 0 or -1.
static int push(JSContext *ctx, JSValueConst array, uint32_t *count, JSValue value)
{
    if (JS_IsException(value))
        return -1;
    return JS_DefinePropertyValueUint32(ctx, array, (*count)++, value, JS_PROP_C_W_E) < 0 ? -1 : 0;
}

// An object with what `fill` puts into it.
static JSValue new_filled(JSContext *ctx, int (*fill)(JSContext *ctx, JSValueConst object, const void *from),
                          const void *from)
{
    JSValue object = JS_NewObject(ctx);
    if (JS_IsException(object) || !fill(ctx, object, from))
        return object;
    JS_FreeValue(ctx, object);
    return JS_EXCEPTION;
}

static JSValue list_of(JSContext *ctx, MoorKept kind, int (*fill)(JSContext *, JSValueConst, const void *))
{
    JSValue array = JS_NewArray(ctx);
    uint32_t count = 0;
    for (const void *at = NULL; !JS_IsException(array) && (at = moor_kept_next(kind, at));) {
        JSValue entry = new_filled(ctx, fill, at);
        if (push(ctx, array, &count, entry)) {
            JS_FreeValue(ctx, array);
            return JS_EXCEPTION;
        }
    }
    return array;
}

static int fill_record(JSContext *ctx, JSValueConst object, const void *from)
{
    const Record *record = from;
    size_t room = moor_kept_size(record) - sizeof *record;
    bool whole = record->number && record->size <= room && record->sum == sum_of(record->bytes, record->size);
    return moor_set_int(ctx, object, "handle", moor_kept_offset(record)) ||
           moor_set_int(ctx, object, "number", whole ? (int64_t)record->number : 0) ||
           moor_set(ctx, object, "bytes", moor_new_bytes(ctx, record->bytes, whole ? record->size : 0));
}

static int fill_call(JSContext *ctx, JSValueConst object, const void *from)
{
    const MoorCall *call = from;
    return moor_set_int(ctx, object, "id", call->id) ||
           moor_set(ctx, object, "frame", moor_new_bytes(ctx, call->frame, call->size));
}

static JSValue calls_of(JSContext *ctx, const MoorConnection *connection)
{
    JSValue array = JS_NewArray(ctx);
    uint32_t count = 0;
    for (const MoorCall *call = moor_kept_at(connection->calls); call && !JS_IsException(array);
         call = moor_kept_at(call->next)) {
        JSValue entry = new_filled(ctx, fill_call, call);
        if (push(ctx, array, &count, entry)) {
            JS_FreeValue(ctx, array);
            return JS_EXCEPTION;
        }
    }
    return array;
}

static int fill_connection(JSContext *ctx, JSValueConst object, const void *from)
{
    const MoorConnection *connection = from;
    const uint8_t *input = connection->input ? moor_kept_at(connection->input) : connection->header;
    size_t input_size = connection->input ? connection->input_fill : connection->header_fill;
    const uint8_t *output = connection->output ? moor_kept_at(connection->output) : connection->header;
    size_t output_size = connection->output ? connection->output_size - connection->output_done : 0;
    return moor_set_int(ctx, object, "fd", connection->fd) ||
           moor_set(ctx, object, "sound", moor_bool(ctx, !connection->skip)) ||
           moor_set(ctx, object, "input", moor_new_bytes(ctx, input, input_size)) ||
           moor_set(ctx, object, "output", moor_new_bytes(ctx, output + connection->output_done, output_size)) ||
           moor_set(ctx, object, "calls", calls_of(ctx, connection));
}

static int fill_spawned(JSContext *ctx, JSValueConst object, const void *from)
{
    return moor_set_int(ctx, object, "pid", ((const MoorSpawned *)from)->pid);
}

static int fill_reaped(JSContext *ctx, JSValueConst object, const void *from)
{
    const MoorReaped *reaped = from;
    return moor_set_int(ctx, object, "pid", reaped->pid) || moor_set_int(ctx, object, "code", reaped->code) ||
           moor_set_int(ctx, object, "status", reaped->status);
}

static JSValue hexadecimal(JSContext *ctx, uint64_t number)
{
    char text[19] = "0x";
    size_t length = 2;
    for (int shift = 60; shift >= 0; shift -= 4) {
        unsigned digit = (unsigned)(number >> shift) & 15;
        if (digit || length > 2 || shift == 0)
            text[length++] = "0123456789abcdef"[digit];
    }
    return moor_new_text(ctx, (const uint8_t *)text, length);
}

static int fill_crash(JSContext *ctx, JSValueConst object, const void *from)
{
    const MoorCrash *crash = from;
    return moor_set(ctx, object, "atNs", moor_new_bigint(ctx, crash->at_ns)) ||
           moor_set_int(ctx, object, "signal", crash->signal) || moor_set_int(ctx, object, "code", crash->code) ||
           moor_set(ctx, object, "address", hexadecimal(ctx, crash->address)) ||
           moor_set(ctx, object, "instruction", hexadecimal(ctx, crash->instruction)) ||
           moor_set_int(ctx, object, "sender", crash->sender);
}

static JSValue crashes(JSContext *ctx, const MoorKeptHead *head)
{
    JSValue array = JS_NewArray(ctx);
    uint32_t first = head->crash_count > MOOR_CRASHES_KEPT ? head->crash_count - MOOR_CRASHES_KEPT : 0;
    uint32_t count = 0;
    for (uint32_t i = first; i < head->crash_count && !JS_IsException(array); i++) {
        JSValue entry = new_filled(ctx, fill_crash, &head->crashes[i % MOOR_CRASHES_KEPT]);
        if (push(ctx, array, &count, entry)) {
            JS_FreeValue(ctx, array);
            return JS_EXCEPTION;
        }
    }
    return array;
}

// The fds of the image before: its handler has taken their close-on-exec, which all of ours have.
static JSValue inherited_fds(JSContext *ctx)
{
    JSValue array = JS_NewArray(ctx);
    uint32_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; folder && !JS_IsException(array) && (entry = readdir(folder));) {
        int fd = atoi(entry->d_name);
        int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;
        if (flags < 0 || (flags & FD_CLOEXEC))
            continue;
        if (push(ctx, array, &count, JS_NewInt32(ctx, fd))) {
            JS_FreeValue(ctx, array);
            array = JS_EXCEPTION;
        }
    }
    if (folder)
        closedir(folder);
    return array;
}

static int fill_kept(JSContext *ctx, JSValueConst object, const void *from)
{
    const MoorKeptHead *head = from;
    return moor_set(ctx, object, "crashes", crashes(ctx, head)) ||
           moor_set_int(ctx, object, "crashCount", head->crash_count) ||
           moor_set(ctx, object, "lastWords", moor_bool(ctx, head->last_words)) ||
           moor_set(ctx, object, "fds", inherited_fds(ctx)) ||
           moor_set(ctx, object, "records", list_of(ctx, MOOR_KEPT_RECORD, fill_record)) ||
           moor_set(ctx, object, "connections", list_of(ctx, MOOR_KEPT_CONNECTION, fill_connection)) ||
           moor_set(ctx, object, "spawned", list_of(ctx, MOOR_KEPT_SPAWNED, fill_spawned)) ||
           moor_set(ctx, object, "reaped", list_of(ctx, MOOR_KEPT_REAPED, fill_reaped));
}

static JSValue js_kept(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                       JSValueConst *argv MOOR_UNUSED)
{
    return resumed ? new_filled(ctx, fill_kept, moor_kept_head()) : JS_UNDEFINED;
}

static JSValue js_keep_drop_rest(JSContext *ctx MOOR_UNUSED, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                 JSValueConst *argv MOOR_UNUSED)
{
    moor_pumps_drop_rest();
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("keepStart", 1, js_keep_start),   MOOR_FN("keep", 2, js_keep),
    MOOR_FN("keepDrop", 1, js_keep_drop),     MOOR_FN("keepTouch", 0, js_keep_touch),
    MOOR_FN("kept", 0, js_kept),              MOOR_FN("keepDropRest", 0, js_keep_drop_rest),
    MOOR_FN("followRequests", 1, js_follow_requests),
};
MOOR_SYS_PART(kept, funcs)
