// sys, "socket": unix stream sockets, non-blocking and CLOEXEC from birth; who is at the other end; fds through them.

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "glue.h"

// SCM_MAX_FD of the kernel: no message carries more.
enum { MOST_FDS = 253 };

typedef union FdMessage {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * MOST_FDS)];
} FdMessage;

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

// 0, or -ENAMETOOLONG: sun_path holds 107 bytes and the NUL. -ENOENT for an empty path, as for any other file: to the
// kernel it would be a name without a file (unix(7), abstract sockets).
static int make_address(const char *path, struct sockaddr_un *address)
{
    size_t length = strlen(path);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (length == 0)
        return -ENOENT;
    if (length >= sizeof address->sun_path)
        return -ENAMETOOLONG;
    memcpy(address->sun_path, path, length);
    return 0;
}

// Nobody but the owner can open the file at any time: bind(2) makes it with the mode of the socket, less the umask.
static int bind_private(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(0177);
    int status = bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
    umask(before);
    return status;
}

static int connect_to(int fd, const struct sockaddr_un *address)
{
    return connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
}

static JSValue open_at(JSContext *ctx, JSValueConst value, int (*use)(int fd, const struct sockaddr_un *address))
{
    MOOR_STRING(path, ctx);
    struct sockaddr_un address;
    if (moor_arg_string(ctx, value, "path", &path.text))
        return JS_EXCEPTION;
    int status = make_address(path.text, &address);
    if (status < 0)
        return JS_NewInt32(ctx, status);
    int fd = new_socket();
    if (fd < 0)
        return JS_NewInt32(ctx, -errno);
    status = use(fd, &address);
    if (status == 0)
        return JS_NewInt32(ctx, fd);
    close(fd);
    return JS_NewInt32(ctx, status);
}

static JSValue js_unix_bind(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                            JSValueConst *argv)
{
    return open_at(ctx, argv[0], bind_private);
}

static JSValue js_unix_connect(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                               JSValueConst *argv)
{
    return open_at(ctx, argv[0], connect_to);
}

static JSValue js_listen(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd, backlog;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_int(ctx, argv[1], "backlog", &backlog))
        return JS_EXCEPTION;
    return moor_status(ctx, listen(fd, backlog));
}

static JSValue js_accept(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd, accepted;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    do
        accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (accepted < 0 && errno == EINTR);
    return moor_result(ctx, accepted);
}

static JSValue js_peer_credentials(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                   JSValueConst *argv)
{
    int fd;
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return JS_NewInt32(ctx, -errno);
    JSValue credentials = JS_NewObject(ctx);
    if (JS_IsException(credentials))
        return credentials;
    if (!moor_set_int(ctx, credentials, "pid", peer.pid) && !moor_set_int(ctx, credentials, "uid", peer.uid) &&
        !moor_set_int(ctx, credentials, "gid", peer.gid))
        return credentials;
    JS_FreeValue(ctx, credentials);
    return JS_EXCEPTION;
}

static JSValue js_shutdown(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd, how;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_int(ctx, argv[1], "how", &how))
        return JS_EXCEPTION;
    return moor_status(ctx, shutdown(fd, how));
}

// ---- fds through a socket ----

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

// The fds that came with a message; those past `most` are closed.
static int take_fds(struct msghdr *message, int *fds, int most)
{
    int count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        int came = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < came; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + (size_t)i * sizeof fd, sizeof fd);
            if (count < most)
                fds[count++] = fd;
            else
                close(fd);
        }
    }
    return count;
}

static JSValue new_received(JSContext *ctx, ssize_t bytes, const int *fds, int count)
{
    JSValue received = JS_NewObject(ctx);
    JSValue array = JS_NewArray(ctx);
    int failed = JS_IsException(received) || JS_IsException(array);
    for (int i = 0; !failed && i < count; i++)
        failed = JS_DefinePropertyValueUint32(ctx, array, (uint32_t)i, JS_NewInt32(ctx, fds[i]), JS_PROP_C_W_E) < 0;
    failed = failed || moor_set_int(ctx, received, "bytes", bytes);
    if (failed)
        JS_FreeValue(ctx, array);
    else
        failed = moor_set(ctx, received, "fds", array);
    if (!failed)
        return received;
    JS_FreeValue(ctx, received);
    close_all(fds, count);
    return JS_EXCEPTION;
}

static JSValue js_receive_fds(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                              JSValueConst *argv)
{
    int fd, most;
    uint8_t *data;
    size_t size;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_bytes(ctx, argv[1], "into", &data, &size) ||
        moor_arg_int(ctx, argv[2], "maxFds", &most))
        return JS_EXCEPTION;
    if (most < 0 || most > MOST_FDS)
        return JS_ThrowTypeError(ctx, "sys: maxFds must be from 0 to %d", MOST_FDS);
    FdMessage control;
    int fds[MOST_FDS];
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t bytes;
    do
        bytes = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (bytes < 0 && errno == EINTR);
    if (bytes < 0)
        return JS_NewInt32(ctx, -errno);
    return new_received(ctx, bytes, fds, take_fds(&message, fds, most));
}

static int read_fds(JSContext *ctx, JSValueConst value, int *fds, int *count)
{
    uint32_t length = 0;
    JSValue length_value = JS_GetPropertyStr(ctx, value, "length");
    int failed = JS_IsArray(ctx, value) != 1 || moor_arg_uint32(ctx, length_value, "fds", &length);
    JS_FreeValue(ctx, length_value);
    if (failed || length > MOST_FDS) {
        JS_ThrowTypeError(ctx, "sys: fds must be an array of at most %d", MOST_FDS);
        return -1;
    }
    for (uint32_t i = 0; i < length; i++) {
        JSValue element = JS_GetPropertyUint32(ctx, value, i);
        failed = moor_arg_int(ctx, element, "fds", &fds[i]);
        JS_FreeValue(ctx, element);
        if (failed)
            return -1;
    }
    *count = (int)length;
    return 0;
}

static JSValue js_send_fds(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd, count;
    int fds[MOST_FDS];
    uint8_t *data;
    size_t size;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || read_fds(ctx, argv[2], fds, &count) ||
        moor_arg_bytes(ctx, argv[1], "bytes", &data, &size))
        return JS_EXCEPTION;
    FdMessage control;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        size_t fd_bytes = sizeof(int) * (size_t)count;
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_bytes);
        memcpy(CMSG_DATA(header), fds, fd_bytes);
    }
    // Not by the C library: musl 1.2.3 copies the control part into a buffer that is too small for the most fds, to zero
    // what all of it is zero in here.
    ssize_t sent;
    do
        sent = syscall(SYS_sendmsg, fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return moor_result(ctx, sent);
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("unixBind", 1, js_unix_bind),
    MOOR_FN("listen", 2, js_listen),
    MOOR_FN("accept", 1, js_accept),
    MOOR_FN("unixConnect", 1, js_unix_connect),
    MOOR_FN("peerCredentials", 1, js_peer_credentials),
    MOOR_FN("shutdown", 2, js_shutdown),
    MOOR_FN("receiveFds", 3, js_receive_fds),
    MOOR_FN("sendFds", 3, js_send_fds),
};
MOOR_SYS_PART(socket, funcs)
