// Arguments, results and callbacks of the sys functions (glue.h).

#include "glue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../host/engine.h"
#include "utf8.h"

static int wrong_type(JSContext *ctx, const char *name, const char *wanted)
{
    JS_ThrowTypeError(ctx, "sys: %s must be %s", name, wanted);
    return -1;
}

// A number that is an integer from low to high.
static int integer(JSContext *ctx, JSValueConst value, const char *name, double low, double high, double *out)
{
    if (!JS_IsNumber(value))
        return wrong_type(ctx, name, "a number");
    double number;
    if (JS_ToFloat64(ctx, &number, value))
        return -1;
    if (!(number >= low && number <= high) || number != floor(number))
        return wrong_type(ctx, name, "an integer in range");
    *out = number;
    return 0;
}

int moor_arg_int(JSContext *ctx, JSValueConst value, const char *name, int *out)
{
    double number;
    if (integer(ctx, value, name, INT32_MIN, INT32_MAX, &number))
        return -1;
    *out = (int)number;
    return 0;
}

int moor_arg_uint32(JSContext *ctx, JSValueConst value, const char *name, uint32_t *out)
{
    double number;
    if (integer(ctx, value, name, 0, UINT32_MAX, &number))
        return -1;
    *out = (uint32_t)number;
    return 0;
}

int moor_arg_int64(JSContext *ctx, JSValueConst value, const char *name, int64_t *out)
{
    static const double exact = 9007199254740992.0;
    double number;
    if (integer(ctx, value, name, -exact, exact, &number))
        return -1;
    *out = (int64_t)number;
    return 0;
}

int moor_arg_double(JSContext *ctx, JSValueConst value, const char *name, double *out)
{
    if (!JS_IsNumber(value))
        return wrong_type(ctx, name, "a number");
    if (JS_ToFloat64(ctx, out, value))
        return -1;
    return isfinite(*out) ? 0 : wrong_type(ctx, name, "a finite number");
}

int moor_arg_bool(JSContext *ctx, JSValueConst value, const char *name, bool *out)
{
    if (!JS_IsBool(value))
        return wrong_type(ctx, name, "a boolean");
    *out = JS_ToBool(ctx, value) == 1;
    return 0;
}

int moor_arg_string(JSContext *ctx, JSValueConst value, const char *name, const char **out)
{
    if (!JS_IsString(value))
        return wrong_type(ctx, name, "a string");
    size_t length;
    const char *text = JS_ToCStringLen(ctx, &length, value);
    if (!text)
        return -1;
    if (strlen(text) != length) {
        JS_FreeCString(ctx, text);
        return wrong_type(ctx, name, "a string without a zero byte");
    }
    *out = text;
    return 0;
}

int moor_arg_strings(JSContext *ctx, JSValueConst value, const char *name, char ***out)
{
    static const uint32_t most = 1 << 20;
    int is_array = JS_IsArray(ctx, value);
    if (is_array < 0)
        return -1;
    if (!is_array)
        return wrong_type(ctx, name, "an array of strings");
    JSValue length_value = JS_GetPropertyStr(ctx, value, "length");
    uint32_t length;
    int failed = moor_arg_uint32(ctx, length_value, name, &length);
    JS_FreeValue(ctx, length_value);
    if (failed)
        return -1;
    if (length > most)
        return wrong_type(ctx, name, "an array of bearable length");
    char **strings = calloc((size_t)length + 1, sizeof *strings);
    if (!strings) {
        JS_ThrowOutOfMemory(ctx);
        return -1;
    }
    for (uint32_t i = 0; i < length; i++) {
        MOOR_STRING(element, ctx);
        JSValue element_value = JS_GetPropertyUint32(ctx, value, i);
        failed = moor_arg_string(ctx, element_value, name, &element.text);
        JS_FreeValue(ctx, element_value);
        if (!failed && !(strings[i] = strdup(element.text))) {
            JS_ThrowOutOfMemory(ctx);
            failed = -1;
        }
        if (failed) {
            moor_strings_free(strings);
            return -1;
        }
    }
    *out = strings;
    return 0;
}

void moor_strings_free(char **strings)
{
    if (!strings)
        return;
    for (char **string = strings; *string; string++)
        free(*string);
    free(strings);
}

int moor_arg_bytes(JSContext *ctx, JSValueConst value, const char *name, uint8_t **data, size_t *size)
{
    size_t offset, length, element_size, buffer_size;
    JSValue buffer = JS_GetTypedArrayBuffer(ctx, value, &offset, &length, &element_size);
    if (JS_IsException(buffer)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return wrong_type(ctx, name, "a Uint8Array");
    }
    uint8_t *start = JS_GetArrayBuffer(ctx, &buffer_size, buffer);
    JS_FreeValue(ctx, buffer); // the typed array itself keeps the buffer alive
    if (!start && buffer_size != 0) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return wrong_type(ctx, name, "a Uint8Array that is not detached");
    }
    if (element_size != 1)
        return wrong_type(ctx, name, "a Uint8Array");
    *data = start ? start + offset : start;
    *size = length;
    return 0;
}

JSValue moor_new_text(JSContext *ctx, const uint8_t *text, size_t size)
{
    if (moor_utf8_valid(text, size))
        return JS_NewStringLen(ctx, (const char *)text, size);
    size_t repaired_size;
    char *repaired = moor_utf8_repair(text, size, &repaired_size);
    if (!repaired)
        return JS_ThrowOutOfMemory(ctx);
    JSValue string = JS_NewStringLen(ctx, repaired, repaired_size);
    free(repaired);
    return string;
}

JSValue moor_new_bytes(JSContext *ctx, const uint8_t *data, size_t size)
{
    // JS_NewTypedArray reads three arguments whatever count it is given.
    JSValue arguments[3] = {JS_NewArrayBufferCopy(ctx, data ? data : (const uint8_t *)"", size), JS_UNDEFINED, JS_UNDEFINED};
    if (JS_IsException(arguments[0]))
        return JS_EXCEPTION;
    JSValue array = JS_NewTypedArray(ctx, 1, arguments, JS_TYPED_ARRAY_UINT8);
    JS_FreeValue(ctx, arguments[0]);
    return array;
}

int moor_set(JSContext *ctx, JSValueConst object, const char *name, JSValue value)
{
    if (JS_IsException(value))
        return -1;
    return JS_DefinePropertyValueStr(ctx, object, name, value, JS_PROP_C_W_E) < 0 ? -1 : 0;
}

int moor_set_int(JSContext *ctx, JSValueConst object, const char *name, int64_t value)
{
    return moor_set(ctx, object, name, JS_NewInt64(ctx, value));
}

int moor_callback_take(JSContext *ctx, MoorCallback *callback, JSValueConst function, const char *name)
{
    if (!JS_IsFunction(ctx, function))
        return wrong_type(ctx, name, "a function");
    callback->ctx = ctx;
    callback->function = JS_DupValue(ctx, function);
    return 0;
}

void moor_callback_call(const MoorCallback *callback, int argc, JSValue *argv)
{
    // By value: what is called may drop the callback and free the memory it is in.
    JSContext *ctx = callback->ctx;
    JSValue function = JS_DupValue(ctx, callback->function);
    moor_engine_call(ctx, function, argc, argv);
    JS_FreeValue(ctx, function);
    for (int i = 0; i < argc; i++)
        JS_FreeValue(ctx, argv[i]);
}

void moor_callback_drop(MoorCallback *callback)
{
    if (!callback->ctx)
        return;
    JS_FreeValue(callback->ctx, callback->function);
    callback->ctx = NULL;
}
