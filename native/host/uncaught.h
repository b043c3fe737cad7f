// The last-resort handler: exceptions and rejections that nobody caught are put into words and handed to the function
// that was set for it, or to stderr; the process lives on.
#ifndef MOOR_HOST_UNCAUGHT_H
#define MOOR_HOST_UNCAUGHT_H

#include <stdbool.h>

#include "../sys/glue.h"

// Begins to collect unhandled rejections.
void moor_uncaught_watch(JSRuntime *runtime);
// Reports the pending exception.
void moor_uncaught_report_exception(JSContext *ctx);
// Reports what was rejected and has found no handler by now; whether there was anything.
bool moor_uncaught_report_rejections(JSContext *ctx);
// Reports a sentence of the host's own.
void moor_uncaught_report_text(JSContext *ctx, const char *text);
// Replaces the function that is told; JS_NULL for none.
void moor_uncaught_set_function(JSContext *ctx, JSValueConst function);
// Lets go of everything.
void moor_uncaught_close(JSContext *ctx);

#endif
