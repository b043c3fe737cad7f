// libFuzzer on what of the engine and of native/sys meets data from outside: texts in and out, JSON, numbers, dates, URIs
// and regular expressions like the shim's, and the reading of arguments by sys. The first byte chooses. No code of JavaScript
// is compiled from the input: none ever comes from outside.

#include <stdlib.h>
#include <string.h>

#include "../host/engine.h"
#include "../host/limits.h"
#include "../sys/glue.h"
#include "../sys/module.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Of each kind of regular expression that the shim has.
static const char *const patterns[] = {
    "^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$",
    "\\blevel=\"?(?:error|fatal)\"? msg=(\"(?:[^\"\\\\]|\\\\.)*\"|\\S+)",
    "^(\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d)(?:\\.(\\d{1,9}))?Z$",
    "^container with (?:given ID already|id) exists|^container [`'][^`']*[`'] already exists$",
    "^[A-Za-z][A-Za-z0-9+.-]*(?=:)",
    "(?<!\\\\):",
    "\\/\\.\\.?(\\/|$)",
    "^\\d+:([^:]*):(.*)$",
    "\\S+",
};
// Functions of sys that only look, whatever they are given.
static const char *const looking[] = {"encodeUtf8", "decodeUtf8", "lstat", "access", "readlink", "fstat", "isTty",
                                      "ttySize", "readable", "peerCredentials", "pumpState", "timerStop", "randomBytes",
                                      "pollStop", "fsType", "readdir"};

static JSContext *ctx;
static JSValue global, sys, expressions[MOOR_COUNT(patterns)];

static JSValue global_function(const char *object, const char *name)
{
    JSValue holder = object ? JS_GetPropertyStr(ctx, global, object) : JS_DupValue(ctx, global);
    JSValue function = JS_GetPropertyStr(ctx, holder, name);
    JS_FreeValue(ctx, holder);
    return function;
}

// Calls it and takes its result and its arguments away; an exception is as good as a result.
static JSValue call(JSValue function, JSValueConst this_value, int argc, JSValue *argv)
{
    JSValue result = JS_Call(ctx, function, this_value, argc, argv);
    if (JS_IsException(result))
        JS_FreeValue(ctx, JS_GetException(ctx));
    for (int i = 0; i < argc; i++)
        JS_FreeValue(ctx, argv[i]);
    JS_FreeValue(ctx, function);
    return result;
}

static void drop(JSValue value)
{
    JS_FreeValue(ctx, value);
}

static void start(void)
{
    static char *argv[] = {"fuzz", NULL}, *environment[] = {NULL};
    ctx = moor_engine_start(1, argv, environment);
    global = JS_GetGlobalObject(ctx);
    sys = JS_NewObject(ctx);
    int failed = moor_sys_add_text(ctx, sys) || moor_sys_add_paths(ctx, sys) || moor_sys_add_fd(ctx, sys) ||
                 moor_sys_add_tty(ctx, sys) || moor_sys_add_socket(ctx, sys) || moor_sys_add_pump(ctx, sys) ||
                 moor_sys_add_loop(ctx, sys) || moor_sys_add_time(ctx, sys) || moor_sys_add_files(ctx, sys);
    JSValue constructor = JS_GetPropertyStr(ctx, global, "RegExp");
    for (int i = 0; i < MOOR_COUNT(patterns); i++) {
        JSValue source = JS_NewString(ctx, patterns[i]);
        expressions[i] = JS_CallConstructor(ctx, constructor, 1, &source);
        failed = failed || JS_IsException(expressions[i]);
        JS_FreeValue(ctx, source);
    }
    JS_FreeValue(ctx, constructor);
    if (failed)
        abort();
}

// JSON in, out, and in again: what was taken once comes back.
static void json(const uint8_t *data, size_t size)
{
    JSValue text = moor_new_text(ctx, data, size);
    JSValue value = call(global_function("JSON", "parse"), JS_UNDEFINED, 1, &text);
    if (JS_IsException(value))
        return;
    JSValue argument = value;
    JSValue written = call(global_function("JSON", "stringify"), JS_UNDEFINED, 1, &argument);
    if (JS_IsException(written))
        return; // deeper than the stack that writing needs
    if (!JS_IsString(written))
        abort();
    JSValue first = JS_DupValue(ctx, written);
    JSValue again = call(global_function("JSON", "parse"), JS_UNDEFINED, 1, &written);
    if (!JS_IsException(again)) {
        JSValue second = call(global_function("JSON", "stringify"), JS_UNDEFINED, 1, &again);
        const char *left = JS_ToCString(ctx, first), *right = JS_ToCString(ctx, second);
        if (!left || !right || strcmp(left, right) != 0)
            abort();
        JS_FreeCString(ctx, left);
        JS_FreeCString(ctx, right);
        drop(second);
    }
    drop(first);
}

static void one_text(const char *object, const char *name, const uint8_t *data, size_t size)
{
    JSValue text = moor_new_text(ctx, data, size);
    drop(call(global_function(object, name), JS_UNDEFINED, 1, &text));
}

static void expression(const uint8_t *data, size_t size)
{
    JSValueConst each = expressions[data[0] % MOOR_COUNT(patterns)];
    JSValue text = moor_new_text(ctx, data + 1, size - 1);
    drop(call(JS_GetPropertyStr(ctx, each, "exec"), each, 1, &text));
}

// An argument of a type that the next byte names.
static JSValue argument(const uint8_t **at, const uint8_t *end)
{
    uint8_t kind = *at < end ? *(*at)++ : 0;
    size_t most = (size_t)(end - *at), length = kind >> 3;
    if (length > most)
        length = most;
    const uint8_t *bytes = *at;
    *at += length;
    double number = 0;
    switch (kind & 7) {
    case 0:
        return JS_UNDEFINED;
    case 1:
        return JS_NewInt32(ctx, (int8_t)(length ? bytes[0] : 0));
    case 2:
        memcpy(&number, bytes, length < sizeof number ? length : sizeof number);
        return JS_NewFloat64(ctx, number);
    case 3:
        return moor_new_bytes(ctx, bytes, length);
    case 4:
        return JS_NewObject(ctx);
    case 5:
        return JS_NewArray(ctx);
    default:
        return moor_new_text(ctx, bytes, length);
    }
}

static void look(const uint8_t *data, size_t size)
{
    const uint8_t *at = data + 1, *end = data + size;
    // As many as any of them has: the engine fills up only by itself.
    JSValue argv[4];
    for (int i = 0; i < 4; i++)
        argv[i] = argument(&at, end);
    drop(call(JS_GetPropertyStr(ctx, sys, looking[data[0] % MOOR_COUNT(looking)]), sys, 4, argv));
}

static void encode_into(const uint8_t *data, size_t size)
{
    JSValue constructor = JS_GetPropertyStr(ctx, global, "TextEncoder");
    JSValue encoder = JS_CallConstructor(ctx, constructor, 0, NULL);
    JS_FreeValue(ctx, constructor);
    JSValue argv[2] = {moor_new_text(ctx, data + 1, size - 1), moor_new_bytes(ctx, data, data[0] % size)};
    drop(call(JS_GetPropertyStr(ctx, encoder, "encodeInto"), encoder, 2, argv));
    drop(encoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!ctx)
        start();
    if (size < 2)
        return 0;
    const uint8_t *rest = data + 1;
    size--;
    switch (data[0] % 10) {
    case 0:
    case 1:
    case 2:
        json(rest, size);
        break;
    case 3:
        one_text(NULL, "decodeURIComponent", rest, size);
        break;
    case 4:
        one_text("Date", "parse", rest, size);
        break;
    case 5:
        one_text(NULL, "BigInt", rest, size);
        break;
    case 6:
        one_text(NULL, "Number", rest, size);
        break;
    case 7:
        expression(rest, size);
        break;
    case 8:
        encode_into(rest, size);
        break;
    default:
        look(rest, size);
    }
    moor_limits_end_turn();
    return 0;
}
