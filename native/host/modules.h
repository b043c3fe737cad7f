// Where compiled modules come from. The bytecode of a module is read when it is first imported, not before; in the
// shim it lies in the executable (modules-table.c), in the test host in files (modules-folder.c).
#ifndef MOOR_HOST_MODULES_H
#define MOOR_HOST_MODULES_H

#include <stddef.h>

#include "../sys/glue.h"

// Makes import find compiled modules.
void moor_modules_install(JSRuntime *runtime);
// Evaluates the module of this name ("main.js"): the promise of that, or an exception.
JSValue moor_modules_evaluate(JSContext *ctx, const char *name);

// Given by the one source that is linked in. The bytes of the module's bytecode, or NULL when there is no such module;
// *to_free is what has to be freed once they have been read, or NULL.
const uint8_t *moor_modules_find(const char *name, size_t *size, void **to_free);

#endif
