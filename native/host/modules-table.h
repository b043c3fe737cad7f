// The table of compiled modules that scripts/build-shim generates.
#ifndef MOOR_HOST_MODULES_TABLE_H
#define MOOR_HOST_MODULES_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct MoorModule {
    const char *name;
    const uint8_t *bytecode;
    size_t size;
} MoorModule;

// Ends with an entry whose name is NULL.
extern const MoorModule moor_module_table[];

#endif
