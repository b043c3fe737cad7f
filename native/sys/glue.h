// What every file of native/sys shares: how a part puts its functions on the sys object, how arguments become C values
// (a TypeError when the type is wrong, nothing else is ever thrown), how results go back, and how an event in C calls a
// JavaScript function.
//
// A part is one C file with one table and one MOOR_SYS_PART line, listed in module.c:
//
//     static JSValue js_ftruncate(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
//     {
//         int fd;
//         double size;
//         if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_double(ctx, argv[1], "size", &size))
//             return JS_EXCEPTION;
//         return moor_status(ctx, ftruncate(fd, (off_t)size));
//     }
//     static const JSCFunctionListEntry funcs[] = { MOOR_FN("ftruncate", 2, js_ftruncate) };
//     MOOR_SYS_PART(fd, funcs)
//
// The engine fills argv with undefined up to the length given in MOOR_FN, so argc needs no check.
#ifndef MOOR_SYS_GLUE_H
#define MOOR_SYS_GLUE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quickjs.h" // a system header to the compiler: it is not clean under our warnings

#define MOOR_UNUSED __attribute__((unused))
#define MOOR_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define MOOR_FN(name, length, function) JS_CFUNC_DEF(name, length, function)
#define MOOR_SYS_PART(part, table)                                      \
    int moor_sys_add_##part(JSContext *ctx, JSValueConst sys)           \
    {                                                                   \
        JS_SetPropertyFunctionList(ctx, sys, table, MOOR_COUNT(table)); \
        return 0;                                                       \
    }

int moor_sys_add_host(JSContext *ctx, JSValueConst sys);
int moor_sys_add_loop(JSContext *ctx, JSValueConst sys);
int moor_sys_add_process(JSContext *ctx, JSValueConst sys);
int moor_sys_add_fd(JSContext *ctx, JSValueConst sys);
int moor_sys_add_files(JSContext *ctx, JSValueConst sys);
int moor_sys_add_paths(JSContext *ctx, JSValueConst sys);
int moor_sys_add_socket(JSContext *ctx, JSValueConst sys);
int moor_sys_add_pump(JSContext *ctx, JSValueConst sys);
int moor_sys_add_tty(JSContext *ctx, JSValueConst sys);
int moor_sys_add_mount(JSContext *ctx, JSValueConst sys);
int moor_sys_add_time(JSContext *ctx, JSValueConst sys);
int moor_sys_add_text(JSContext *ctx, JSValueConst sys);
int moor_sys_add_kept(JSContext *ctx, JSValueConst sys);

// ---- arguments: 0, or -1 with a TypeError pending that names the argument ----

// An integer of 32 bits.
int moor_arg_int(JSContext *ctx, JSValueConst value, const char *name, int *out);
// An integer from 0 to 2^32-1 (uid, gid, mode, flags).
int moor_arg_uint32(JSContext *ctx, JSValueConst value, const char *name, uint32_t *out);
// An integer that a number can hold exactly (sizes, offsets): -2^53 to 2^53.
int moor_arg_int64(JSContext *ctx, JSValueConst value, const char *name, int64_t *out);
// Any number but NaN and the infinities.
int moor_arg_double(JSContext *ctx, JSValueConst value, const char *name, double *out);
int moor_arg_bool(JSContext *ctx, JSValueConst value, const char *name, bool *out);
// A string without a zero byte, as UTF-8; freed by JS_FreeCString, or declare it with MOOR_STRING.
int moor_arg_string(JSContext *ctx, JSValueConst value, const char *name, const char **out);
// An array of strings as a NULL-terminated vector; freed by moor_strings_free.
int moor_arg_strings(JSContext *ctx, JSValueConst value, const char *name, char ***out);
void moor_strings_free(char **strings);
// The bytes of a Uint8Array. They stay where they are until JavaScript runs again.
int moor_arg_bytes(JSContext *ctx, JSValueConst value, const char *name, uint8_t **data, size_t *size);

// A C string owned by the engine that is given back when the variable goes out of scope:
//     MOOR_STRING(path, ctx);
//     if (moor_arg_string(ctx, argv[0], "path", &path.text)) return JS_EXCEPTION;
typedef struct MoorString {
    JSContext *ctx;
    const char *text;
} MoorString;
static inline void moor_string_free(MoorString *string)
{
    if (string->text)
        JS_FreeCString(string->ctx, string->text);
}
#define MOOR_STRING(name, context) \
    MoorString name __attribute__((cleanup(moor_string_free))) = {context, NULL}

// ---- results ----

// The result of a system call that gives a value >= 0, or -1 and errno: that value, or -errno. Call it with the system
// call as argument, so that nothing comes between the call and the reading of errno.
static inline JSValue moor_result(JSContext *ctx, int64_t result)
{
    return JS_NewInt64(ctx, result < 0 ? -errno : result);
}
// The same for a call that can only succeed or fail: 0 or -errno.
static inline JSValue moor_status(JSContext *ctx, int result)
{
    return JS_NewInt32(ctx, result < 0 ? -errno : 0);
}
static inline JSValue moor_bool(JSContext *ctx MOOR_UNUSED, bool value)
{
    return JS_NewBool(ctx, value);
}
// text as UTF-8, where malformed sequences become U+FFFD each.
JSValue moor_new_text(JSContext *ctx, const uint8_t *text, size_t size);
// A Uint8Array with a copy of the bytes.
JSValue moor_new_bytes(JSContext *ctx, const uint8_t *data, size_t size);
static inline JSValue moor_new_bigint(JSContext *ctx, int64_t value)
{
    return JS_NewBigInt64(ctx, value);
}
// Defines a property of a result object; value is freed in any case. 0, or -1 with an exception (out of memory).
int moor_set(JSContext *ctx, JSValueConst object, const char *name, JSValue value);
int moor_set_int(JSContext *ctx, JSValueConst object, const char *name, int64_t value);
// object[name]; a missing property is JS_UNDEFINED.
static inline JSValue moor_get(JSContext *ctx, JSValueConst object, const char *name)
{
    return JS_GetPropertyStr(ctx, object, name);
}

// ---- from C events to JavaScript ----

// A JavaScript function held by C. A callback whose ctx is NULL is empty.
typedef struct MoorCallback {
    JSContext *ctx;
    JSValue function;
} MoorCallback;

// Takes a reference to function: 0, or -1 with a TypeError when it is none.
int moor_callback_take(JSContext *ctx, MoorCallback *callback, JSValueConst function, const char *name);
// Calls it with these arguments, which are freed. To be called from the loop only (a watch's or timer's C function),
// never from within a call that JavaScript made. What it throws goes to onUncaught; the promise jobs are drained by the
// loop after the C function has returned. The callback may be dropped by what it calls, and its owner may be freed.
void moor_callback_call(const MoorCallback *callback, int argc, JSValue *argv);
// Gives the reference back; nothing happens to an empty one.
void moor_callback_drop(MoorCallback *callback);

#endif
