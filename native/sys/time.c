// sys, "time, random": the clocks, random bytes, the kernel's release.

#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>

#include "../host/loop.h"
#include "glue.h"

static JSValue js_realtime_ns(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv MOOR_UNUSED)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return moor_new_bigint(ctx, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

static JSValue js_monotonic_ms(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                               JSValueConst *argv MOOR_UNUSED)
{
    return JS_NewFloat64(ctx, (double)moor_monotonic_ns() / 1e6);
}

static JSValue js_random_bytes(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                               JSValueConst *argv)
{
    enum { MOST = 4096 };
    uint32_t count;
    uint8_t bytes[MOST];
    if (moor_arg_uint32(ctx, argv[0], "count", &count))
        return JS_EXCEPTION;
    if (count > MOST)
        return JS_ThrowTypeError(ctx, "sys: count must be at most %d", MOST);
    for (size_t filled = 0; filled < count;) {
        ssize_t got = getrandom(bytes + filled, count - filled, 0);
        if (got < 0 && errno != EINTR)
            return JS_ThrowInternalError(ctx, "sys: getrandom failed: errno %d", errno);
        if (got > 0)
            filled += (size_t)got;
    }
    return moor_new_bytes(ctx, bytes, count);
}

static JSValue js_kernel_release(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                 JSValueConst *argv MOOR_UNUSED)
{
    struct utsname names;
    uname(&names); // fails for a bad pointer only
    return JS_NewString(ctx, names.release);
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("realtimeNs", 0, js_realtime_ns),
    MOOR_FN("monotonicMs", 0, js_monotonic_ms),
    MOOR_FN("randomBytes", 1, js_random_bytes),
    MOOR_FN("kernelRelease", 0, js_kernel_release),
};
MOOR_SYS_PART(time, funcs)
