// sys, "fd": what is done to open file descriptors, whatever they are.

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "follow.h"
#include "glue.h"

// The part of a buffer that read and write are given: fd, buffer, offset, length.
static int arg_range(JSContext *ctx, JSValueConst *argv, int *fd, uint8_t **data, size_t *length)
{
    size_t size;
    int64_t offset, wanted;
    if (moor_arg_int(ctx, argv[0], "fd", fd) || moor_arg_bytes(ctx, argv[1], "buffer", data, &size) ||
        moor_arg_int64(ctx, argv[2], "offset", &offset) || moor_arg_int64(ctx, argv[3], "length", &wanted))
        return -1;
    if (offset < 0 || wanted < 0 || (uint64_t)offset > size || (uint64_t)wanted > size - (uint64_t)offset) {
        JS_ThrowTypeError(ctx, "sys: offset and length must lie within the buffer");
        return -1;
    }
    *data += offset;
    *length = (size_t)wanted;
    return 0;
}

static JSValue js_read(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    uint8_t *data;
    size_t length;
    if (arg_range(ctx, argv, &fd, &data, &length))
        return JS_EXCEPTION;
    ssize_t got;
    do
        got = moor_follow_read(fd, data, length);
    while (got < 0 && errno == EINTR);
    return moor_result(ctx, got);
}

static JSValue js_write(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    uint8_t *data;
    size_t length;
    if (arg_range(ctx, argv, &fd, &data, &length))
        return JS_EXCEPTION;
    ssize_t written;
    do
        written = moor_follow_write(fd, data, length);
    while (written < 0 && errno == EINTR);
    return moor_result(ctx, written);
}

static JSValue js_close(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    moor_follow_end(fd);
    int status = close(fd);
    // EINTR: Linux has let go of the fd all the same.
    return moor_status(ctx, status < 0 && errno == EINTR ? 0 : status);
}

static JSValue js_dup(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    return moor_result(ctx, fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

static JSValue js_dup2(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd, target;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_int(ctx, argv[1], "target", &target))
        return JS_EXCEPTION;
    // dup3 refuses equal fds, dup2 takes them as done once fd is known to be open.
    if (fd == target)
        return moor_status(ctx, fcntl(fd, F_GETFD));
    return moor_status(ctx, dup3(fd, target, target > STDERR_FILENO ? O_CLOEXEC : 0));
}

static JSValue js_pipe(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int flags, ends[2];
    if (moor_arg_int(ctx, argv[0], "flags", &flags))
        return JS_EXCEPTION;
    if (pipe2(ends, flags | O_CLOEXEC) < 0)
        return JS_NewInt32(ctx, -errno);
    JSValue pair = JS_NewArray(ctx);
    if (JS_IsException(pair) || JS_DefinePropertyValueUint32(ctx, pair, 0, JS_NewInt32(ctx, ends[0]), JS_PROP_C_W_E) < 0 ||
        JS_DefinePropertyValueUint32(ctx, pair, 1, JS_NewInt32(ctx, ends[1]), JS_PROP_C_W_E) < 0) {
        close(ends[0]);
        close(ends[1]);
        JS_FreeValue(ctx, pair);
        return JS_EXCEPTION;
    }
    return pair;
}

// Switches a bit of what get reads and set writes of fd (F_GETFL and F_SETFL, F_GETFD and F_SETFD).
static int switch_flag(int fd, int get, int set, int flag, bool on)
{
    int flags = fcntl(fd, get);
    if (flags < 0)
        return -1;
    int wanted = on ? flags | flag : flags & ~flag;
    return wanted == flags ? 0 : fcntl(fd, set, wanted);
}

static JSValue js_set_nonblock(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                               JSValueConst *argv)
{
    int fd;
    bool on;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_bool(ctx, argv[1], "on", &on))
        return JS_EXCEPTION;
    return moor_status(ctx, switch_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on));
}

static JSValue js_set_cloexec(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    int fd;
    bool on;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_bool(ctx, argv[1], "on", &on))
        return JS_EXCEPTION;
    return moor_status(ctx, switch_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on));
}

static JSValue js_readable(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd, bytes = 0;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    return moor_result(ctx, ioctl(fd, FIONREAD, &bytes) < 0 ? -1 : bytes);
}

static JSValue js_set_pipe_size(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                JSValueConst *argv)
{
    int fd, bytes;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_int(ctx, argv[1], "bytes", &bytes))
        return JS_EXCEPTION;
    return moor_result(ctx, fcntl(fd, F_SETPIPE_SZ, bytes));
}

static JSValue js_eventfd(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                          JSValueConst *argv MOOR_UNUSED)
{
    return moor_result(ctx, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static JSValue js_memfd(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(name, ctx);
    if (moor_arg_string(ctx, argv[0], "name", &name.text))
        return JS_EXCEPTION;
    return moor_result(ctx, memfd_create(name.text, MFD_CLOEXEC));
}

static JSValue js_seek(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    int64_t offset;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_int64(ctx, argv[1], "offset", &offset))
        return JS_EXCEPTION;
    return moor_result(ctx, lseek(fd, offset, SEEK_SET));
}

static JSValue js_ftruncate(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                            JSValueConst *argv)
{
    int fd;
    int64_t size;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_int64(ctx, argv[1], "size", &size))
        return JS_EXCEPTION;
    return moor_status(ctx, ftruncate(fd, size));
}

static JSValue js_fsync(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    return moor_status(ctx, fsync(fd));
}

static JSValue js_flock(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd, operation;
    MOOR_STRING(how, ctx);
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_string(ctx, argv[1], "how", &how.text))
        return JS_EXCEPTION;
    if (strcmp(how.text, "shared") == 0)
        operation = LOCK_SH;
    else if (strcmp(how.text, "exclusive") == 0)
        operation = LOCK_EX;
    else if (strcmp(how.text, "unlock") == 0)
        operation = LOCK_UN;
    else
        return JS_ThrowTypeError(ctx, "sys: how must be shared, exclusive or unlock");
    return moor_status(ctx, flock(fd, operation | LOCK_NB));
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("read", 4, js_read),
    MOOR_FN("write", 4, js_write),
    MOOR_FN("close", 1, js_close),
    MOOR_FN("dup", 1, js_dup),
    MOOR_FN("dup2", 2, js_dup2),
    MOOR_FN("pipe", 1, js_pipe),
    MOOR_FN("setNonblock", 2, js_set_nonblock),
    MOOR_FN("setCloexec", 2, js_set_cloexec),
    MOOR_FN("readable", 1, js_readable),
    MOOR_FN("setPipeSize", 2, js_set_pipe_size),
    MOOR_FN("eventfd", 0, js_eventfd),
    MOOR_FN("memfd", 1, js_memfd),
    MOOR_FN("seek", 2, js_seek),
    MOOR_FN("ftruncate", 2, js_ftruncate),
    MOOR_FN("fsync", 1, js_fsync),
    MOOR_FN("flock", 2, js_flock),
};
MOOR_SYS_PART(fd, funcs)
