// sys, "tty": whether an fd is a terminal, and its size in character cells.

#include <sys/ioctl.h>
#include <unistd.h>

#include "glue.h"

static JSValue js_tty_size(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    struct winsize size;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0)
        return JS_NewInt32(ctx, -errno);
    JSValue object = JS_NewObject(ctx);
    if (JS_IsException(object))
        return object;
    if (!moor_set_int(ctx, object, "rows", size.ws_row) && !moor_set_int(ctx, object, "columns", size.ws_col))
        return object;
    JS_FreeValue(ctx, object);
    return JS_EXCEPTION;
}

// The kernel keeps 16 bits of each: more is taken for the most.
static unsigned short cells(int count)
{
    return (unsigned short)(count < 0 ? 0 : count > 0xffff ? 0xffff : count);
}

static JSValue js_tty_set_size(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                               JSValueConst *argv)
{
    int fd, rows, columns;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_int(ctx, argv[1], "rows", &rows) ||
        moor_arg_int(ctx, argv[2], "columns", &columns))
        return JS_EXCEPTION;
    struct winsize size = {.ws_row = cells(rows), .ws_col = cells(columns)};
    return moor_status(ctx, ioctl(fd, TIOCSWINSZ, &size));
}

static JSValue js_is_tty(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    return moor_bool(ctx, isatty(fd) == 1);
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("ttySize", 1, js_tty_size),
    MOOR_FN("ttySetSize", 3, js_tty_set_size),
    MOOR_FN("isTty", 1, js_is_tty),
};
MOOR_SYS_PART(tty, funcs)
