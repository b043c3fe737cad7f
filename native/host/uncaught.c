// Exceptions and rejections that nobody caught (uncaught.h).
//
// The engine tells of every rejection that has no handler yet, and again when it gets one (an await attaches its handler
// a moment later): so rejections are collected, and only what is left after the jobs have been drained is reported.

#include "uncaught.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CAUSES_SHOWN = 4 };

typedef struct Rejection {
    struct Rejection *next;
    JSValue promise;
    JSValue reason;
} Rejection;

static Rejection *first;
static Rejection **end = &first;
static MoorCallback told;

static void free_rejection(JSContext *ctx, Rejection *rejection)
{
    JS_FreeValue(ctx, rejection->promise);
    JS_FreeValue(ctx, rejection->reason);
    free(rejection);
}

static void add_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason)
{
    Rejection *rejection = malloc(sizeof *rejection);
    if (!rejection)
        return; // it goes unreported: there is no memory to report it with
    *rejection = (Rejection){.promise = JS_DupValue(ctx, promise), .reason = JS_DupValue(ctx, reason)};
    *end = rejection;
    end = &rejection->next;
}

static void remove_rejection(JSContext *ctx, JSValueConst promise)
{
    for (Rejection **at = &first; *at; at = &(*at)->next) {
        Rejection *rejection = *at;
        if (JS_VALUE_GET_PTR(rejection->promise) != JS_VALUE_GET_PTR(promise))
            continue;
        *at = rejection->next;
        if (end == &rejection->next)
            end = at;
        free_rejection(ctx, rejection);
        return;
    }
}

static void track(JSContext *ctx, JSValueConst promise, JSValueConst reason, JS_BOOL is_handled, void *opaque)
{
    (void)opaque;
    if (is_handled)
        remove_rejection(ctx, promise);
    else
        add_rejection(ctx, promise, reason);
}

static void write_stderr(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written <= 0)
            return; // nobody reads stderr, or its reader is slow: the shim must not wait for it
        text += written;
        length -= (size_t)written;
    }
}

// Gives text to the function that was set, or to stderr when there is none or it throws itself.
static void tell(JSContext *ctx, JSValue text)
{
    if (told.ctx) {
        JSValue function = JS_DupValue(ctx, told.function);
        JSValue result = JS_Call(ctx, function, JS_UNDEFINED, 1, &text);
        JS_FreeValue(ctx, function);
        if (!JS_IsException(result)) {
            JS_FreeValue(ctx, result);
            return;
        }
        JS_FreeValue(ctx, JS_GetException(ctx));
    }
    size_t length;
    const char *bytes = JS_ToCStringLen(ctx, &length, text);
    if (!bytes) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return;
    }
    write_stderr("moor: uncaught: ", 16);
    write_stderr(bytes, length);
    write_stderr("\n", 1);
    JS_FreeCString(ctx, bytes);
}

// Appends the text of value to *text (a malloc'ed string); what throws on the way is left out.
static void append(JSContext *ctx, char **text, const char *before, JSValueConst value)
{
    const char *more = JS_ToCString(ctx, value);
    if (!more) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return;
    }
    size_t length = *text ? strlen(*text) : 0;
    while (length > 0 && (*text)[length - 1] == '\n')
        length--; // a stack ends with one
    char *grown = realloc(*text, length + strlen(before) + strlen(more) + 1);
    if (grown) {
        strcpy(grown + length, before);
        strcat(grown + length, more);
        *text = grown;
    }
    JS_FreeCString(ctx, more);
}

// error[name], or undefined when that throws.
static JSValue get_quietly(JSContext *ctx, JSValueConst error, const char *name)
{
    JSValue value = JS_GetPropertyStr(ctx, error, name);
    if (!JS_IsException(value))
        return value;
    JS_FreeValue(ctx, JS_GetException(ctx));
    return JS_UNDEFINED;
}

// "Name: message", the frames of the stack, and the same for its causes.
static JSValue describe(JSContext *ctx, JSValueConst thrown)
{
    char *text = NULL;
    JSValue error = JS_DupValue(ctx, thrown);
    for (int depth = 0; depth < CAUSES_SHOWN && !JS_IsUndefined(error); depth++) {
        append(ctx, &text, depth ? "\ncaused by: " : "", error);
        JSValue cause = JS_UNDEFINED;
        if (JS_IsObject(error)) {
            JSValue stack = get_quietly(ctx, error, "stack");
            if (JS_IsString(stack))
                append(ctx, &text, "\n", stack);
            JS_FreeValue(ctx, stack);
            cause = get_quietly(ctx, error, "cause");
        }
        JS_FreeValue(ctx, error);
        error = cause;
    }
    JS_FreeValue(ctx, error);
    size_t length = text ? strlen(text) : 0;
    while (length > 0 && text[length - 1] == '\n')
        length--;
    JSValue described = length ? moor_new_text(ctx, (const uint8_t *)text, length) : JS_NewString(ctx, "undefined");
    free(text);
    return described;
}

static void report(JSContext *ctx, JSValueConst thrown)
{
    JSValue text = describe(ctx, thrown);
    if (JS_IsException(text))
        JS_FreeValue(ctx, JS_GetException(ctx));
    else
        tell(ctx, text);
    JS_FreeValue(ctx, text);
}

void moor_uncaught_watch(JSRuntime *runtime)
{
    JS_SetHostPromiseRejectionTracker(runtime, track, NULL);
}

void moor_uncaught_report_exception(JSContext *ctx)
{
    JSValue exception = JS_GetException(ctx);
    // An interrupted turn leaves an error that no catch gets; from here on it is an ordinary one.
    JS_SetUncatchableError(ctx, exception, 0);
    report(ctx, exception);
    JS_FreeValue(ctx, exception);
}

bool moor_uncaught_report_rejections(JSContext *ctx)
{
    Rejection *list = first;
    if (!list)
        return false;
    first = NULL;
    end = &first;
    while (list) {
        Rejection *next = list->next;
        report(ctx, list->reason);
        free_rejection(ctx, list);
        list = next;
    }
    return true;
}

void moor_uncaught_report_text(JSContext *ctx, const char *text)
{
    JSValue value = JS_NewString(ctx, text);
    tell(ctx, value);
    JS_FreeValue(ctx, value);
}

void moor_uncaught_set_function(JSContext *ctx, JSValueConst function)
{
    moor_callback_drop(&told);
    if (JS_IsFunction(ctx, function))
        told = (MoorCallback){.ctx = ctx, .function = JS_DupValue(ctx, function)};
}

void moor_uncaught_close(JSContext *ctx)
{
    moor_callback_drop(&told);
    while (first) {
        Rejection *rejection = first;
        first = rejection->next;
        free_rejection(ctx, rejection);
    }
    end = &first;
}
