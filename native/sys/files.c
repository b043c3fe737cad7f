// sys, "files", first half: opening, reading and writing whole files, listing folders, inotify.

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "glue.h"

static JSValue js_open(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    int flags;
    uint32_t mode;
    if (moor_arg_string(ctx, argv[0], "path", &path.text) || moor_arg_int(ctx, argv[1], "flags", &flags) ||
        moor_arg_uint32(ctx, argv[2], "mode", &mode))
        return JS_EXCEPTION;
    return moor_result(ctx, openat(AT_FDCWD, path.text, flags | O_CLOEXEC, mode));
}

// The kernel's struct open_how; the C library has neither it nor the call.
struct moor_open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

static JSValue js_openat2(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    int dir_fd, flags;
    uint32_t mode, resolve;
    if (moor_arg_int(ctx, argv[0], "dirFd", &dir_fd) || moor_arg_string(ctx, argv[1], "path", &path.text) ||
        moor_arg_int(ctx, argv[2], "flags", &flags) || moor_arg_uint32(ctx, argv[3], "mode", &mode) ||
        moor_arg_uint32(ctx, argv[4], "resolve", &resolve))
        return JS_EXCEPTION;
    struct moor_open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .mode = mode, .resolve = resolve};
    return moor_result(ctx, syscall(SYS_openat2, dir_fd, path.text, &how, sizeof how));
}

// Reads fd to its end into a malloc'ed buffer: 0, or -errno; -EFBIG when there is more than most.
static int read_whole(int fd, size_t most, uint8_t **text, size_t *size)
{
    size_t capacity = 0;
    *text = NULL;
    *size = 0;
    for (;;) {
        if (*size == capacity) {
            // One byte more than most is read at the most: it shows that there is too much.
            capacity = capacity ? capacity * 2 : 4096;
            if (capacity > most + 1)
                capacity = most + 1;
            uint8_t *grown = realloc(*text, capacity);
            if (!grown)
                return -ENOMEM;
            *text = grown;
        }
        ssize_t got = read(fd, *text + *size, capacity - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        *size += (size_t)got;
        if (*size > most)
            return -EFBIG;
    }
}

static JSValue js_read_text(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    uint32_t most;
    if (moor_arg_string(ctx, argv[0], "path", &path.text) || moor_arg_uint32(ctx, argv[1], "maxBytes", &most))
        return JS_EXCEPTION;
    // Non-blocking, in case somebody has put a FIFO there.
    int fd = openat(AT_FDCWD, path.text, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return JS_NewInt32(ctx, -errno);
    uint8_t *text;
    size_t size;
    int status = read_whole(fd, most, &text, &size);
    close(fd);
    JSValue result = status < 0 ? JS_NewInt32(ctx, status) : moor_new_text(ctx, text, size);
    free(text);
    return result;
}

// Writes it in one call; only what that leaves over, on a disk that is nearly full, is tried again.
static int write_whole(int fd, const char *text, size_t size)
{
    size_t done = 0;
    do {
        ssize_t written = write(fd, text + done, size - done);
        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0)
            done += (size_t)written;
    } while (done < size);
    return 0;
}

static JSValue js_write_text(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                             JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    MOOR_STRING(text, ctx);
    int flags;
    uint32_t mode;
    size_t size;
    if (moor_arg_string(ctx, argv[0], "path", &path.text) || moor_arg_int(ctx, argv[2], "flags", &flags) ||
        moor_arg_uint32(ctx, argv[3], "mode", &mode))
        return JS_EXCEPTION;
    if (!JS_IsString(argv[1]))
        return JS_ThrowTypeError(ctx, "sys: text must be a string");
    if (!(text.text = JS_ToCStringLen(ctx, &size, argv[1])))
        return JS_EXCEPTION;
    int fd = openat(AT_FDCWD, path.text, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags, mode);
    if (fd < 0)
        return JS_NewInt32(ctx, -errno);
    int status = write_whole(fd, text.text, size);
    if (close(fd) < 0 && status == 0 && errno != EINTR)
        status = -errno; // some filesystems tell of a failed write only now
    return JS_NewInt32(ctx, status);
}

// The value [name, type], or an exception.
static JSValue new_entry(JSContext *ctx, const struct dirent *entry)
{
    JSValue pair = JS_NewArray(ctx);
    JSValue name = moor_new_text(ctx, (const uint8_t *)entry->d_name, strlen(entry->d_name));
    if (JS_IsException(pair) || JS_IsException(name)) {
        JS_FreeValue(ctx, pair);
        JS_FreeValue(ctx, name);
        return JS_EXCEPTION;
    }
    if (JS_DefinePropertyValueUint32(ctx, pair, 0, name, JS_PROP_C_W_E) < 0 ||
        JS_DefinePropertyValueUint32(ctx, pair, 1, JS_NewInt32(ctx, entry->d_type), JS_PROP_C_W_E) < 0) {
        JS_FreeValue(ctx, pair);
        return JS_EXCEPTION;
    }
    return pair;
}

static JSValue list(JSContext *ctx, DIR *folder)
{
    JSValue entries = JS_NewArray(ctx);
    if (JS_IsException(entries))
        return entries;
    for (uint32_t count = 0;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        int failure = errno;
        if (!entry && !failure)
            return entries;
        if (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0))
            continue;
        JSValue pair = entry ? new_entry(ctx, entry) : JS_NewInt32(ctx, -failure);
        if (!entry || JS_IsException(pair)) {
            JS_FreeValue(ctx, entries);
            return pair;
        }
        if (JS_DefinePropertyValueUint32(ctx, entries, count++, pair, JS_PROP_C_W_E) < 0) {
            JS_FreeValue(ctx, entries);
            return JS_EXCEPTION;
        }
    }
}

static JSValue js_readdir(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    if (moor_arg_string(ctx, argv[0], "path", &path.text))
        return JS_EXCEPTION;
    DIR *folder = opendir(path.text);
    if (!folder)
        return JS_NewInt32(ctx, -errno);
    JSValue entries = list(ctx, folder);
    closedir(folder);
    return entries;
}

static JSValue js_inotify_create(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                 JSValueConst *argv MOOR_UNUSED)
{
    return moor_result(ctx, inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
}

static JSValue js_inotify_add(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    int fd;
    uint32_t mask;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_string(ctx, argv[1], "path", &path.text) ||
        moor_arg_uint32(ctx, argv[2], "mask", &mask))
        return JS_EXCEPTION;
    return moor_result(ctx, inotify_add_watch(fd, path.text, mask));
}

static JSValue js_inotify_remove(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                 JSValueConst *argv)
{
    int fd, watch;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_int(ctx, argv[1], "watch", &watch))
        return JS_EXCEPTION;
    return moor_status(ctx, inotify_rm_watch(fd, watch));
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("open", 3, js_open),
    MOOR_FN("openat2", 5, js_openat2),
    MOOR_FN("readText", 2, js_read_text),
    MOOR_FN("writeText", 4, js_write_text),
    MOOR_FN("readdir", 1, js_readdir),
    MOOR_FN("inotifyCreate", 0, js_inotify_create),
    MOOR_FN("inotifyAdd", 3, js_inotify_add),
    MOOR_FN("inotifyRemove", 2, js_inotify_remove),
};
MOOR_SYS_PART(files, funcs)
