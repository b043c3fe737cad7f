// Loading of compiled modules (modules.h).

#include "modules.h"

#include <stdlib.h>

// The module as a value of tag JS_TAG_MODULE, its imports resolved, or an exception.
static JSValue read_module(JSContext *ctx, const char *name)
{
    size_t size;
    void *to_free = NULL;
    const uint8_t *bytecode = moor_modules_find(name, &size, &to_free);
    if (!bytecode)
        return JS_ThrowReferenceError(ctx, "this program contains no module '%s'", name);
    JSValue module = JS_ReadObject(ctx, bytecode, size, JS_READ_OBJ_BYTECODE);
    free(to_free);
    if (JS_IsException(module))
        return module;
    if (JS_VALUE_GET_TAG(module) != JS_TAG_MODULE) {
        JS_FreeValue(ctx, module);
        return JS_ThrowTypeError(ctx, "'%s' is not a compiled module", name);
    }
    if (JS_ResolveModule(ctx, module) < 0) {
        JS_FreeValue(ctx, module);
        return JS_EXCEPTION;
    }
    return module;
}

static JSModuleDef *load(JSContext *ctx, const char *name, void *opaque)
{
    (void)opaque;
    JSValue module = read_module(ctx, name);
    if (JS_IsException(module))
        return NULL;
    // The context's list of loaded modules holds it from now on.
    JSModuleDef *definition = JS_VALUE_GET_PTR(module);
    JS_FreeValue(ctx, module);
    return definition;
}

void moor_modules_install(JSRuntime *runtime)
{
    JS_SetModuleLoaderFunc(runtime, NULL, load, NULL);
}

JSValue moor_modules_evaluate(JSContext *ctx, const char *name)
{
    JSValue module = read_module(ctx, name);
    return JS_IsException(module) ? module : JS_EvalFunction(ctx, module);
}
