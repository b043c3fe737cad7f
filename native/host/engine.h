// The one JavaScript engine of this process: set up, calls from the loop, jobs, limits, and what nobody caught.
#ifndef MOOR_HOST_ENGINE_H
#define MOOR_HOST_ENGINE_H

#include <stddef.h>

#include "../sys/glue.h"

// Runtime and context with the limits set and the globals and the module "sys" in place; ends the process when memory
// does not suffice for that. argv and environ of the process are what sys.args and sys.environ show.
JSContext *moor_engine_start(int argc, char **argv, char **environment);
// Loads and evaluates the module of this name and runs the loop until nothing is left to wait for: the exit status, which
// is 1 when the module could not be loaded, threw or rejected, or never finished.
int moor_engine_run(JSContext *ctx, const char *module_name);
// Frees everything (only of use where leaks are looked for).
void moor_engine_stop(JSContext *ctx);

// Calls a function from the loop. What it throws is reported as uncaught.
void moor_engine_call(JSContext *ctx, JSValueConst function, int argc, JSValue *argv);
// The function that is told of uncaught exceptions from now on; JS_NULL for none. Takes a reference.
void moor_engine_on_uncaught(JSContext *ctx, JSValueConst function);
// argv and environment as given to moor_engine_start.
char **moor_engine_argv(void);
char **moor_engine_environment(void);

#endif
