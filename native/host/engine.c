// The engine: one runtime, one context with the parts of the language that the shim uses (no compiler, no Proxy, no
// WeakRef, no String.prototype.normalize: they are not even linked), and the turn: a call from the loop, then its jobs.

#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../sys/module.h"
#include "limits.h"
#include "loop.h"
#include "modules.h"
#include "uncaught.h"

static char **process_argv, **process_environment;

static void fail_at_start(void)
{
    static const char text[] = "moor: the engine could not be started: out of memory\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(MOOR_EXIT_NO_MEMORY); // there is nobody left to tell
    _exit(MOOR_EXIT_NO_MEMORY);
}

JSContext *moor_engine_start(int argc, char **argv, char **environment)
{
    (void)argc;
    process_argv = argv;
    process_environment = environment;
    JSRuntime *runtime = moor_limits_new_runtime();
    JSContext *ctx = runtime ? JS_NewContextRaw(runtime) : NULL;
    if (!ctx)
        fail_at_start();
    JS_AddIntrinsicBaseObjects(ctx);
    JS_AddIntrinsicDate(ctx);
    JS_AddIntrinsicRegExp(ctx);
    JS_AddIntrinsicJSON(ctx);
    JS_AddIntrinsicMapSet(ctx);
    JS_AddIntrinsicTypedArrays(ctx);
    JS_AddIntrinsicPromise(ctx);
    moor_limits_watch(ctx);
    moor_uncaught_watch(runtime);
    moor_modules_install(runtime);
    if (moor_sys_add_text_globals(ctx) < 0 || !moor_sys_module(ctx, "sys"))
        fail_at_start();
    return ctx;
}

// Runs the promise jobs until none is left, then reports the rejections that are still unhandled, until that gives
// no new jobs either.
static void drain_jobs(JSContext *ctx)
{
    JSRuntime *runtime = JS_GetRuntime(ctx);
    do {
        JSContext *job_ctx;
        int status;
        while ((status = JS_ExecutePendingJob(runtime, &job_ctx)) != 0) {
            if (status < 0)
                moor_uncaught_report_exception(job_ctx);
        }
    } while (moor_uncaught_report_rejections(ctx));
    moor_kept_end_turn();
    moor_limits_end_turn();
}

void moor_engine_call(JSContext *ctx, JSValueConst function, int argc, JSValue *argv)
{
    JSValue result = JS_Call(ctx, function, JS_UNDEFINED, argc, argv);
    if (JS_IsException(result))
        moor_uncaught_report_exception(ctx);
    JS_FreeValue(ctx, result);
}

static void after_callback(void *opaque)
{
    drain_jobs(opaque);
}

int moor_engine_run(JSContext *ctx, const char *module_name)
{
    JSValue finished = moor_modules_evaluate(ctx, module_name);
    if (JS_IsException(finished)) {
        moor_uncaught_report_exception(ctx);
        return 1;
    }
    drain_jobs(ctx);
    int status = moor_loop_run(after_callback, ctx);
    if (status < 0)
        moor_uncaught_report_text(ctx, "the event loop failed: epoll_wait");
    JSPromiseStateEnum state = JS_PromiseState(ctx, finished);
    if (state == JS_PROMISE_PENDING)
        moor_uncaught_report_text(ctx, "the main module waits for something that can no longer happen");
    JS_FreeValue(ctx, finished);
    return state == JS_PROMISE_FULFILLED && status == 0 ? 0 : 1;
}

void moor_engine_stop(JSContext *ctx)
{
    JSRuntime *runtime = JS_GetRuntime(ctx);
    moor_sys_close_events();
    moor_kept_close();
    moor_uncaught_close(ctx);
    JS_FreeContext(ctx);
    JS_FreeRuntime(runtime);
}

void moor_engine_on_uncaught(JSContext *ctx, JSValueConst function)
{
    moor_uncaught_set_function(ctx, function);
}

char **moor_engine_argv(void)
{
    return process_argv;
}

char **moor_engine_environment(void)
{
    return process_environment;
}
