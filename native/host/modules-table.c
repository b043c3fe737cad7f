// Compiled modules linked into the executable.

#include "modules-table.h"

#include <string.h>

#include "modules.h"

const uint8_t *moor_modules_find(const char *name, size_t *size, void **to_free)
{
    *to_free = NULL;
    for (const MoorModule *module = moor_module_table; module->name; module++) {
        if (strcmp(module->name, name) == 0) {
            *size = module->size;
            return module->bytecode;
        }
    }
    return NULL;
}
