// sys, "files", second half: what is known of a file and what is done to it by its path.

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "glue.h"

static JSValue new_stat(JSContext *ctx, int result, const struct stat *status)
{
    if (result < 0)
        return JS_NewInt32(ctx, -errno);
    double mtime_ms = (double)status->st_mtim.tv_sec * 1000 + (double)status->st_mtim.tv_nsec / 1e6;
    JSValue object = JS_NewObject(ctx);
    if (JS_IsException(object))
        return object;
    if (moor_set_int(ctx, object, "mode", status->st_mode) || moor_set_int(ctx, object, "uid", status->st_uid) ||
        moor_set_int(ctx, object, "gid", status->st_gid) || moor_set_int(ctx, object, "size", status->st_size) ||
        moor_set_int(ctx, object, "dev", (int64_t)status->st_dev) ||
        moor_set_int(ctx, object, "ino", (int64_t)status->st_ino) ||
        moor_set_int(ctx, object, "rdev", (int64_t)status->st_rdev) ||
        moor_set_int(ctx, object, "nlink", (int64_t)status->st_nlink) ||
        moor_set(ctx, object, "mtimeMs", JS_NewFloat64(ctx, mtime_ms))) {
        JS_FreeValue(ctx, object);
        return JS_EXCEPTION;
    }
    return object;
}

static JSValue js_stat(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    struct stat status;
    if (moor_arg_string(ctx, argv[0], "path", &path.text))
        return JS_EXCEPTION;
    return new_stat(ctx, stat(path.text, &status), &status);
}

static JSValue js_lstat(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    struct stat status;
    if (moor_arg_string(ctx, argv[0], "path", &path.text))
        return JS_EXCEPTION;
    return new_stat(ctx, lstat(path.text, &status), &status);
}

static JSValue js_fstat(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    struct stat status;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    return new_stat(ctx, fstat(fd, &status), &status);
}

// What statfs(2) says of the file system at a path, or the exception or -errno that takes its place in *failed.
static bool read_statfs(JSContext *ctx, JSValueConst value, struct statfs *status, JSValue *failed)
{
    MOOR_STRING(path, ctx);
    if (moor_arg_string(ctx, value, "path", &path.text))
        *failed = JS_EXCEPTION;
    else if (statfs(path.text, status) < 0)
        *failed = JS_NewInt32(ctx, -errno);
    else
        return true;
    return false;
}

static JSValue js_fs_type(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    struct statfs status;
    JSValue failed;
    if (!read_statfs(ctx, argv[0], &status, &failed))
        return failed;
    return JS_NewInt64(ctx, (uint32_t)status.f_type); // magic numbers have 32 bits; here and there they are signed
}

static JSValue js_fs_flags(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    struct statfs status;
    JSValue failed;
    if (!read_statfs(ctx, argv[0], &status, &failed))
        return failed;
    return JS_NewInt64(ctx, (int64_t)status.f_flags & ~0x20); // 0x20 says only that the kernel knows the rest
}

// A call that takes a path and a mode.
static JSValue path_and_mode(JSContext *ctx, JSValueConst *argv, int (*call)(const char *path, mode_t mode))
{
    MOOR_STRING(path, ctx);
    uint32_t mode;
    if (moor_arg_string(ctx, argv[0], "path", &path.text) || moor_arg_uint32(ctx, argv[1], "mode", &mode))
        return JS_EXCEPTION;
    return moor_status(ctx, call(path.text, mode));
}

static JSValue js_mkdir(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    return path_and_mode(ctx, argv, mkdir);
}

static JSValue js_mkfifo(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    return path_and_mode(ctx, argv, mkfifo);
}

static JSValue js_chmod(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    return path_and_mode(ctx, argv, chmod);
}

static JSValue js_rmdir(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    if (moor_arg_string(ctx, argv[0], "path", &path.text))
        return JS_EXCEPTION;
    return moor_status(ctx, rmdir(path.text));
}

static JSValue js_unlink(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    if (moor_arg_string(ctx, argv[0], "path", &path.text))
        return JS_EXCEPTION;
    return moor_status(ctx, unlink(path.text));
}

static JSValue js_rename(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(from, ctx);
    MOOR_STRING(to, ctx);
    if (moor_arg_string(ctx, argv[0], "from", &from.text) || moor_arg_string(ctx, argv[1], "to", &to.text))
        return JS_EXCEPTION;
    return moor_status(ctx, rename(from.text, to.text));
}

static JSValue js_symlink(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(target, ctx);
    MOOR_STRING(path, ctx);
    if (moor_arg_string(ctx, argv[0], "target", &target.text) || moor_arg_string(ctx, argv[1], "path", &path.text))
        return JS_EXCEPTION;
    return moor_status(ctx, symlink(target.text, path.text));
}

static JSValue js_readlink(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    char target[PATH_MAX];
    if (moor_arg_string(ctx, argv[0], "path", &path.text))
        return JS_EXCEPTION;
    ssize_t length = readlink(path.text, target, sizeof target);
    if (length < 0)
        return JS_NewInt32(ctx, -errno);
    return moor_new_text(ctx, (const uint8_t *)target, (size_t)length);
}

// A user or group id; -1 leaves it as it is.
static int arg_id(JSContext *ctx, JSValueConst value, const char *name, uint32_t *id)
{
    int64_t number;
    if (moor_arg_int64(ctx, value, name, &number))
        return -1;
    if (number < -1 || number > UINT32_MAX) {
        JS_ThrowTypeError(ctx, "sys: %s must be an id or -1", name);
        return -1;
    }
    *id = (uint32_t)number;
    return 0;
}

static JSValue js_chown(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    uint32_t uid, gid;
    if (moor_arg_string(ctx, argv[0], "path", &path.text) || arg_id(ctx, argv[1], "uid", &uid) ||
        arg_id(ctx, argv[2], "gid", &gid))
        return JS_EXCEPTION;
    return moor_status(ctx, chown(path.text, uid, gid));
}

static JSValue js_fchown(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    uint32_t uid, gid;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || arg_id(ctx, argv[1], "uid", &uid) ||
        arg_id(ctx, argv[2], "gid", &gid))
        return JS_EXCEPTION;
    return moor_status(ctx, fchown(fd, uid, gid));
}

static JSValue js_access(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    int mode;
    if (moor_arg_string(ctx, argv[0], "path", &path.text) || moor_arg_int(ctx, argv[1], "mode", &mode))
        return JS_EXCEPTION;
    return moor_status(ctx, access(path.text, mode));
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("stat", 1, js_stat),
    MOOR_FN("lstat", 1, js_lstat),
    MOOR_FN("fstat", 1, js_fstat),
    MOOR_FN("fsType", 1, js_fs_type),
    MOOR_FN("fsFlags", 1, js_fs_flags),
    MOOR_FN("mkdir", 2, js_mkdir),
    MOOR_FN("mkfifo", 2, js_mkfifo),
    MOOR_FN("rmdir", 1, js_rmdir),
    MOOR_FN("unlink", 1, js_unlink),
    MOOR_FN("rename", 2, js_rename),
    MOOR_FN("symlink", 2, js_symlink),
    MOOR_FN("readlink", 1, js_readlink),
    MOOR_FN("chmod", 2, js_chmod),
    MOOR_FN("chown", 3, js_chown),
    MOOR_FN("fchown", 2, js_fchown),
    MOOR_FN("access", 2, js_access),
};
MOOR_SYS_PART(paths, funcs)
