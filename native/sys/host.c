// sys, "the host": arguments, environment, exit, the last-resort handler, the heap.

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../host/engine.h"
#include "../host/heap.h"
#include "../host/limits.h"
#include "glue.h"

static JSValue string_array(JSContext *ctx, char **strings)
{
    JSValue array = JS_NewArray(ctx);
    for (uint32_t i = 0; !JS_IsException(array) && strings[i]; i++) {
        JSValue text = moor_new_text(ctx, (const uint8_t *)strings[i], strlen(strings[i]));
        if (JS_IsException(text) || JS_DefinePropertyValueUint32(ctx, array, i, text, JS_PROP_C_W_E) < 0) {
            JS_FreeValue(ctx, array);
            return JS_EXCEPTION;
        }
    }
    return array;
}

static JSValue js_exit(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int code;
    if (moor_arg_int(ctx, argv[0], "code", &code))
        return JS_EXCEPTION;
#ifdef MOOR_LOOK_FOR_LEAKS
    exit(code);
#else
    _exit(code);
#endif
}

static JSValue js_on_uncaught(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    if (!JS_IsFunction(ctx, argv[0]))
        return JS_ThrowTypeError(ctx, "sys: fn must be a function");
    moor_engine_on_uncaught(ctx, argv[0]);
    return JS_UNDEFINED;
}

static JSValue js_collect_garbage(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                  JSValueConst *argv MOOR_UNUSED)
{
    JS_RunGC(JS_GetRuntime(ctx));
    moor_heap_trim();
    return JS_UNDEFINED;
}

static JSValue js_heap(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                       JSValueConst *argv MOOR_UNUSED)
{
    size_t used, limit;
    moor_limits_memory(&used, &limit);
    JSValue heap = JS_NewObject(ctx);
    if (moor_set_int(ctx, heap, "usedBytes", (int64_t)used) || moor_set_int(ctx, heap, "limitBytes", (int64_t)limit)) {
        JS_FreeValue(ctx, heap);
        return JS_EXCEPTION;
    }
    return heap;
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("exit", 1, js_exit),
    MOOR_FN("onUncaught", 1, js_on_uncaught),
    MOOR_FN("collectGarbage", 0, js_collect_garbage),
    MOOR_FN("heap", 0, js_heap),
};

int moor_sys_add_host(JSContext *ctx, JSValueConst sys)
{
    if (moor_set(ctx, sys, "args", string_array(ctx, moor_engine_argv())) ||
        moor_set(ctx, sys, "environ", string_array(ctx, moor_engine_environment())))
        return -1;
    JS_SetPropertyFunctionList(ctx, sys, funcs, MOOR_COUNT(funcs));
    return 0;
}
