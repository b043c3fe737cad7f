// The module "sys": one object made of all parts, made when the module is first imported.

#include "module.h"

static int add_parts(JSContext *ctx, JSValueConst sys)
{
    static int (*const parts[])(JSContext *ctx, JSValueConst sys) = {
        moor_sys_add_host,  moor_sys_add_loop,   moor_sys_add_process, moor_sys_add_fd,  moor_sys_add_files,
        moor_sys_add_paths, moor_sys_add_socket, moor_sys_add_pump,    moor_sys_add_tty, moor_sys_add_mount,
        moor_sys_add_time,  moor_sys_add_text,   moor_sys_add_kept,
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i](ctx, sys) < 0)
            return -1;
    }
    return 0;
}

static int init(JSContext *ctx, JSModuleDef *module)
{
    JSValue sys = JS_NewObject(ctx);
    if (JS_IsException(sys))
        return -1;
    if (add_parts(ctx, sys) < 0) {
        JS_FreeValue(ctx, sys);
        return -1;
    }
    return JS_SetModuleExport(ctx, module, "default", sys);
}

JSModuleDef *moor_sys_module(JSContext *ctx, const char *name)
{
    JSModuleDef *module = JS_NewCModule(ctx, name, init);
    if (!module || JS_AddModuleExport(ctx, module, "default") < 0)
        return NULL;
    return module;
}
