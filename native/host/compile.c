// A tool of the build: compiles JavaScript modules to the engine's bytecode. `moor-compile OUT-FOLDER FILE...` writes
// OUT-FOLDER/NAME.bc for each FILE, NAME being its last part, which is also the module's name in stack traces and
// imports. Line numbers and names are kept, the source is not. It is linked from the same engine as the shim, since the
// form of bytecode belongs to one build of the engine.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sys/glue.h"

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "moor-compile: %s %s\n", what, path);
    exit(1);
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail("cannot open", path);
    size_t capacity = 1 << 16;
    char *text = malloc(capacity);
    *size = 0;
    while (text) {
        *size += fread(text + *size, 1, capacity - 1 - *size, file);
        if (*size < capacity - 1)
            break;
        capacity *= 2;
        text = realloc(text, capacity);
    }
    if (!text || ferror(file))
        fail("cannot read", path);
    fclose(file);
    text[*size] = 0;
    return text;
}

static int no_exports(JSContext *ctx, JSModuleDef *module)
{
    (void)ctx;
    (void)module;
    return 0;
}

// An import needs a module of that name to exist; what it exports is looked at when the program runs.
static JSModuleDef *placeholder(JSContext *ctx, const char *name, void *opaque)
{
    (void)opaque;
    return JS_NewCModule(ctx, name, no_exports);
}

static void print_exception(JSContext *ctx)
{
    JSValue exception = JS_GetException(ctx);
    const char *text = JS_ToCString(ctx, exception);
    JSValue stack = JS_GetPropertyStr(ctx, exception, "stack");
    const char *frames = JS_ToCString(ctx, stack);
    fprintf(stderr, "%s\n%s", text ? text : "?", frames ? frames : "");
    JS_FreeCString(ctx, text);
    JS_FreeCString(ctx, frames);
    JS_FreeValue(ctx, stack);
    JS_FreeValue(ctx, exception);
}

static void write_bytecode(const char *folder, const char *name, const uint8_t *bytes, size_t size)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s.bc", folder, name) >= (int)sizeof path)
        fail("the path is too long:", name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        fail("cannot write", path);
}

static void compile(JSRuntime *runtime, const char *folder, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    // A context for each, so that no file's placeholders stand in another's way.
    JSContext *ctx = JS_NewContext(runtime);
    size_t size, bytecode_size;
    char *source = read_file(path, &size);
    JSValue module = JS_Eval(ctx, source, size, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    free(source);
    if (JS_IsException(module)) {
        print_exception(ctx);
        fail("cannot compile", path);
    }
    uint8_t *bytecode = JS_WriteObject(ctx, &bytecode_size, module, JS_WRITE_OBJ_BYTECODE);
    if (!bytecode)
        fail("cannot serialise", path);
    write_bytecode(folder, name, bytecode, bytecode_size);
    js_free(ctx, bytecode);
    JS_FreeValue(ctx, module);
    JS_FreeContext(ctx);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: moor-compile", "OUT-FOLDER FILE...");
    JSRuntime *runtime = JS_NewRuntime();
    if (!runtime)
        fail("out of memory", "");
    JS_SetStripInfo(runtime, JS_STRIP_SOURCE);
    JS_SetModuleLoaderFunc(runtime, NULL, placeholder, NULL);
    for (int i = 2; i < argc; i++)
        compile(runtime, argv[1], argv[i]);
    JS_FreeRuntime(runtime);
    return 0;
}
