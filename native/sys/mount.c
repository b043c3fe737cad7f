// sys, "mount": mount(2) and umount2(2), bind mounts with mapped ids by the newer calls, and loop devices.

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "glue.h"

// The numbers are the same on every architecture; musl's headers are older than some of the calls.
#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
enum {
    TREE_CLONE = 1,
    TREE_CLOEXEC = O_CLOEXEC,
    TREE_RECURSIVE = 0x8000, // AT_RECURSIVE
    PATH_IS_FD = 0x1000,     // AT_EMPTY_PATH
    FROM_IS_FD = 0x4,        // MOVE_MOUNT_F_EMPTY_PATH
    ATTRIBUTE_IDMAP = 0x00100000,
    LOOP_TRIES = 64,
};

typedef struct MountAttributes {
    uint64_t set, clear, propagation, user_namespace_fd;
} MountAttributes;

#ifndef LOOP_CONFIGURE
#define LOOP_CONFIGURE 0x4C0A
typedef struct LoopConfig {
    uint32_t fd;
    uint32_t block_size;
    struct loop_info64 info;
    uint64_t reserved[8];
} LoopConfig;
#else
typedef struct loop_config LoopConfig;
#endif
#ifndef LO_FLAGS_DIRECT_IO
#define LO_FLAGS_DIRECT_IO 16
#endif

static JSValue js_mount(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(source, ctx);
    MOOR_STRING(target, ctx);
    MOOR_STRING(type, ctx);
    MOOR_STRING(data, ctx);
    uint32_t flags;
    if (moor_arg_string(ctx, argv[0], "source", &source.text) ||
        moor_arg_string(ctx, argv[1], "target", &target.text) || moor_arg_string(ctx, argv[2], "type", &type.text) ||
        moor_arg_uint32(ctx, argv[3], "flags", &flags) || moor_arg_string(ctx, argv[4], "data", &data.text))
        return JS_EXCEPTION;
    return moor_status(ctx, mount(source.text, target.text, type.text, flags, data.text));
}

static JSValue js_umount(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(target, ctx);
    int flags;
    if (moor_arg_string(ctx, argv[0], "target", &target.text) || moor_arg_int(ctx, argv[1], "flags", &flags))
        return JS_EXCEPTION;
    return moor_status(ctx, umount2(target.text, flags));
}

static int mount_mapped(const char *source, const char *target, int namespace_fd, bool recursive)
{
    unsigned int reach = recursive ? TREE_RECURSIVE : 0;
    int tree = (int)syscall(SYS_open_tree, AT_FDCWD, source, TREE_CLONE | TREE_CLOEXEC | reach);
    if (tree < 0)
        return -errno;
    MountAttributes attributes = {.set = ATTRIBUTE_IDMAP, .user_namespace_fd = (uint64_t)namespace_fd};
    int status = 0;
    if (syscall(SYS_mount_setattr, tree, "", PATH_IS_FD | reach, &attributes, sizeof attributes) < 0 ||
        syscall(SYS_move_mount, tree, "", AT_FDCWD, target, FROM_IS_FD) < 0)
        status = -errno;
    close(tree);
    return status;
}

static JSValue js_mount_idmapped(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                 JSValueConst *argv)
{
    MOOR_STRING(source, ctx);
    MOOR_STRING(target, ctx);
    int namespace_fd;
    bool recursive;
    if (moor_arg_string(ctx, argv[0], "source", &source.text) ||
        moor_arg_string(ctx, argv[1], "target", &target.text) ||
        moor_arg_int(ctx, argv[2], "userNamespaceFd", &namespace_fd) ||
        moor_arg_bool(ctx, argv[3], "recursive", &recursive))
        return JS_EXCEPTION;
    return JS_NewInt32(ctx, mount_mapped(source.text, target.text, namespace_fd, recursive));
}

// ---- loop devices ----

// Ties the device to the file: 0 or -errno. Before Linux 5.8 that takes two calls.
static int tie(int device, int file, uint32_t flags)
{
    LoopConfig config;
    memset(&config, 0, sizeof config);
    config.fd = (uint32_t)file;
    config.info.lo_flags = flags;
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOTTY)
        return -errno;
    if (ioctl(device, LOOP_SET_FD, file) < 0)
        return -errno;
    config.info.lo_flags &= ~(uint32_t)LO_FLAGS_DIRECT_IO;
    int status = ioctl(device, LOOP_SET_STATUS64, &config.info) < 0 ? -errno : 0;
    if (status == 0 && (flags & LO_FLAGS_DIRECT_IO) && ioctl(device, LOOP_SET_DIRECT_IO, 1UL) < 0)
        status = -errno;
    if (status < 0)
        ioctl(device, LOOP_CLR_FD, 0);
    return status;
}

// The fd of a device tied to the file, its path in `path`; or -errno. Another may take the free device first: then again.
static int attach(int file, bool read_only, uint32_t flags, char *path, size_t size)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return -errno;
    int result = -EBUSY;
    for (int tries = 0; result == -EBUSY && tries < LOOP_TRIES; tries++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) {
            result = -errno;
            break;
        }
        snprintf(path, size, "/dev/loop%d", number);
        int device = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        if (device < 0) {
            result = -errno;
            break;
        }
        int status = tie(device, file, flags);
        if (status < 0)
            close(device);
        result = status < 0 ? status : device;
    }
    close(control);
    return result;
}

// Opened without waiting for a FIFO's other end (the path may be anything; a FIFO is refused by the ioctl), then as if it
// had been opened plainly.
static int open_backing(const char *path, bool read_only)
{
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fcntl(fd, F_SETFL, 0) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static JSValue js_loop_attach(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    MOOR_STRING(file, ctx);
    bool read_only, direct_io;
    char path[32];
    if (moor_arg_string(ctx, argv[0], "file", &file.text) || moor_arg_bool(ctx, argv[1], "readOnly", &read_only) ||
        moor_arg_bool(ctx, argv[2], "directIo", &direct_io))
        return JS_EXCEPTION;
    int backing = open_backing(file.text, read_only);
    if (backing < 0)
        return JS_NewInt32(ctx, -errno);
    uint32_t flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0) | (direct_io ? LO_FLAGS_DIRECT_IO : 0);
    int device = attach(backing, read_only, flags, path, sizeof path);
    close(backing);
    if (device < 0)
        return JS_NewInt32(ctx, device);
    JSValue attached = JS_NewObject(ctx);
    if (!JS_IsException(attached) && !moor_set_int(ctx, attached, "fd", device) &&
        !moor_set(ctx, attached, "path", JS_NewString(ctx, path)))
        return attached;
    JS_FreeValue(ctx, attached);
    close(device);
    return JS_EXCEPTION;
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("mount", 5, js_mount),
    MOOR_FN("umount", 2, js_umount),
    MOOR_FN("mountIdmapped", 4, js_mount_idmapped),
    MOOR_FN("loopAttach", 3, js_loop_attach),
};
MOOR_SYS_PART(mount, funcs)
