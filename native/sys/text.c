// sys, "text", and the globals TextEncoder and TextDecoder: UTF-8 between strings and bytes, by the rules of the
// Encoding standard (a malformed sequence or an unpaired surrogate becomes U+FFFD). Of the standard's classes only UTF-8
// in one piece is there; streaming decoding is refused.

#include <string.h>
#include <strings.h>

#include "glue.h"
#include "module.h"
#include "utf8.h"

static JSValue encode(JSContext *ctx, JSValueConst text)
{
    size_t size;
    const char *bytes = JS_ToCStringLen(ctx, &size, text);
    if (!bytes)
        return JS_EXCEPTION;
    JSValue array = moor_new_bytes(ctx, (const uint8_t *)bytes, size);
    bool may_hold_surrogates = memchr(bytes, 0xed, size) != NULL;
    JS_FreeCString(ctx, bytes);
    uint8_t *data;
    if (!JS_IsException(array) && may_hold_surrogates && moor_arg_bytes(ctx, array, "bytes", &data, &size) == 0)
        moor_utf8_replace_surrogates(data, size);
    return array;
}

static JSValue js_encode_utf8(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    if (!JS_IsString(argv[0]))
        return JS_ThrowTypeError(ctx, "sys: text must be a string");
    return encode(ctx, argv[0]);
}

static JSValue js_decode_utf8(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    uint8_t *data;
    size_t size;
    if (moor_arg_bytes(ctx, argv[0], "bytes", &data, &size))
        return JS_EXCEPTION;
    return moor_new_text(ctx, data, size);
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("encodeUtf8", 1, js_encode_utf8),
    MOOR_FN("decodeUtf8", 1, js_decode_utf8),
};
MOOR_SYS_PART(text, funcs)

// ---- the globals ----

enum { FATAL = 1, KEEP_BOM = 2, IS_DECODER = 4 };

static JSClassID decoder_class;
static const JSClassDef decoder_definition = {"TextDecoder", .finalizer = NULL};

static JSValue js_encoder_new(JSContext *ctx, JSValueConst new_target, int argc MOOR_UNUSED,
                              JSValueConst *argv MOOR_UNUSED)
{
    JSValue prototype = JS_GetPropertyStr(ctx, new_target, "prototype");
    JSValue encoder = JS_IsException(prototype) ? prototype : JS_NewObjectProto(ctx, prototype);
    JS_FreeValue(ctx, prototype);
    return encoder;
}

static JSValue js_encoder_encode(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                 JSValueConst *argv)
{
    if (JS_IsUndefined(argv[0]))
        return moor_new_bytes(ctx, NULL, 0);
    return encode(ctx, argv[0]);
}

// How many bytes, and how many UTF-16 units of the text, fit into room bytes.
static void measure(const uint8_t *bytes, size_t size, size_t room, size_t *written, size_t *units)
{
    size_t at = 0;
    *units = 0;
    while (at < size) {
        size_t length = bytes[at] < 0x80 ? 1 : bytes[at] < 0xe0 ? 2 : bytes[at] < 0xf0 ? 3 : 4;
        if (length > room - at)
            break;
        at += length;
        *units += length == 4 ? 2 : 1;
    }
    *written = at;
}

static JSValue js_encoder_encode_into(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                      JSValueConst *argv)
{
    size_t size, room, written, units;
    uint8_t *into;
    const char *bytes = JS_ToCStringLen(ctx, &size, argv[0]);
    if (!bytes)
        return JS_EXCEPTION;
    if (moor_arg_bytes(ctx, argv[1], "destination", &into, &room)) {
        JS_FreeCString(ctx, bytes);
        return JS_EXCEPTION;
    }
    measure((const uint8_t *)bytes, size, room, &written, &units);
    if (written > 0) {
        memcpy(into, bytes, written);
        moor_utf8_replace_surrogates(into, written);
    }
    JS_FreeCString(ctx, bytes);
    JSValue result = JS_NewObject(ctx);
    if (moor_set_int(ctx, result, "read", (int64_t)units) || moor_set_int(ctx, result, "written", (int64_t)written)) {
        JS_FreeValue(ctx, result);
        return JS_EXCEPTION;
    }
    return result;
}

// Adds flag to *flags when options[name] is true. 0, or -1 with an exception.
static int read_option(JSContext *ctx, JSValueConst options, const char *name, intptr_t flag, intptr_t *flags)
{
    if (JS_IsUndefined(options))
        return 0;
    JSValue value = JS_GetPropertyStr(ctx, options, name);
    int is_set = JS_ToBool(ctx, value);
    JS_FreeValue(ctx, value);
    if (is_set > 0)
        *flags |= flag;
    return is_set < 0 ? -1 : 0;
}

static JSValue js_decoder_new(JSContext *ctx, JSValueConst new_target, int argc MOOR_UNUSED, JSValueConst *argv)
{
    intptr_t flags = IS_DECODER;
    if (!JS_IsUndefined(argv[0])) {
        MOOR_STRING(label, ctx);
        if (moor_arg_string(ctx, argv[0], "label", &label.text))
            return JS_EXCEPTION;
        if (strcasecmp(label.text, "utf-8") != 0 && strcasecmp(label.text, "utf8") != 0)
            return JS_ThrowRangeError(ctx, "TextDecoder: only utf-8 is there, not %s", label.text);
    }
    if (read_option(ctx, argv[1], "fatal", FATAL, &flags) || read_option(ctx, argv[1], "ignoreBOM", KEEP_BOM, &flags))
        return JS_EXCEPTION;
    JSValue prototype = JS_GetPropertyStr(ctx, new_target, "prototype");
    if (JS_IsException(prototype))
        return prototype;
    JSValue decoder = JS_NewObjectProtoClass(ctx, prototype, decoder_class);
    JS_FreeValue(ctx, prototype);
    if (!JS_IsException(decoder))
        JS_SetOpaque(decoder, (void *)flags);
    return decoder;
}

static JSValue js_decoder_decode(JSContext *ctx, JSValueConst this_val, int argc MOOR_UNUSED, JSValueConst *argv)
{
    intptr_t flags = (intptr_t)JS_GetOpaque2(ctx, this_val, decoder_class);
    if (!flags)
        return JS_EXCEPTION;
    intptr_t streaming = 0;
    if (read_option(ctx, argv[1], "stream", 1, &streaming))
        return JS_EXCEPTION;
    if (streaming)
        return JS_ThrowTypeError(ctx, "TextDecoder: decoding in pieces (stream) is not there");
    if (JS_IsUndefined(argv[0]))
        return JS_NewString(ctx, "");
    uint8_t *data;
    size_t size;
    if (moor_arg_bytes(ctx, argv[0], "input", &data, &size))
        return JS_EXCEPTION;
    if (!(flags & KEEP_BOM) && size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3;
        size -= 3;
    }
    if ((flags & FATAL) && !moor_utf8_valid(data, size))
        return JS_ThrowTypeError(ctx, "TextDecoder: the encoded data is not valid UTF-8");
    return moor_new_text(ctx, data, size);
}

static int add_class(JSContext *ctx, const char *name, JSCFunction *constructor, int length,
                     const JSCFunctionListEntry *methods, int method_count)
{
    JSValue function = JS_NewCFunction2(ctx, constructor, name, length, JS_CFUNC_constructor, 0);
    JSValue prototype = JS_NewObject(ctx);
    JSValue global = JS_GetGlobalObject(ctx);
    int status = -1;
    if (!JS_IsException(function) && !JS_IsException(prototype)) {
        JS_SetPropertyFunctionList(ctx, prototype, methods, method_count);
        JS_SetConstructor(ctx, function, prototype);
        status = JS_DefinePropertyValueStr(ctx, global, name, JS_DupValue(ctx, function),
                                           JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    }
    JS_FreeValue(ctx, global);
    JS_FreeValue(ctx, prototype);
    JS_FreeValue(ctx, function);
    return status;
}

int moor_sys_add_text_globals(JSContext *ctx)
{
    static const JSCFunctionListEntry encoder_methods[] = {
        MOOR_FN("encode", 1, js_encoder_encode),
        MOOR_FN("encodeInto", 2, js_encoder_encode_into),
    };
    static const JSCFunctionListEntry decoder_methods[] = {MOOR_FN("decode", 2, js_decoder_decode)};
    if (!decoder_class)
        JS_NewClassID(&decoder_class);
    if (JS_NewClass(JS_GetRuntime(ctx), decoder_class, &decoder_definition) < 0)
        return -1;
    if (add_class(ctx, "TextEncoder", js_encoder_new, 0, encoder_methods, MOOR_COUNT(encoder_methods)) < 0)
        return -1;
    return add_class(ctx, "TextDecoder", js_decoder_new, 2, decoder_methods, MOOR_COUNT(decoder_methods));
}
