// sys, "process": what this process is, the children it makes (spawn.c does the making), how they end, and signals.

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../host/crash.h"
#include "../host/loop.h"
#include "children.h"
#include "glue.h"
#include "spawn.h"

#define ID_PIDFD 3 // P_PIDFD of waitid(2), Linux 5.4; a macro or an enumerator by the libc
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

enum { HIGHEST_TARGET = 1023 };

// ---- this process ----

static JSValue js_getpid(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                         JSValueConst *argv MOOR_UNUSED)
{
    return JS_NewInt32(ctx, getpid());
}

static JSValue js_getppid(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                          JSValueConst *argv MOOR_UNUSED)
{
    return JS_NewInt32(ctx, getppid());
}

static JSValue js_getuid(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                         JSValueConst *argv MOOR_UNUSED)
{
    return JS_NewInt64(ctx, getuid());
}

// The loop's fds would be shared between the two.
static JSValue js_fork(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                       JSValueConst *argv MOOR_UNUSED)
{
    if (moor_loop_used())
        return JS_NewInt32(ctx, -EBUSY);
    return moor_result(ctx, fork());
}

static JSValue js_setsid(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                         JSValueConst *argv MOOR_UNUSED)
{
    return moor_result(ctx, setsid());
}

static JSValue js_become_subreaper(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                   JSValueConst *argv MOOR_UNUSED)
{
    return moor_status(ctx, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

static JSValue js_set_process_name(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                   JSValueConst *argv)
{
    MOOR_STRING(name, ctx);
    if (moor_arg_string(ctx, argv[0], "name", &name.text))
        return JS_EXCEPTION;
    return moor_status(ctx, prctl(PR_SET_NAME, name.text, 0, 0, 0));
}

static JSValue js_prctl(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    static const char *const names[] = {"arg2", "arg3", "arg4", "arg5"};
    int option;
    int64_t numbers[4];
    if (moor_arg_int(ctx, argv[0], "option", &option))
        return JS_EXCEPTION;
    for (int i = 0; i < 4; i++) {
        if (moor_arg_int64(ctx, argv[i + 1], names[i], &numbers[i]))
            return JS_EXCEPTION;
    }
    return moor_result(ctx, prctl(option, (unsigned long)numbers[0], (unsigned long)numbers[1],
                                  (unsigned long)numbers[2], (unsigned long)numbers[3]));
}

static JSValue js_umask(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    uint32_t mask;
    if (moor_arg_uint32(ctx, argv[0], "mask", &mask))
        return JS_EXCEPTION;
    return JS_NewInt64(ctx, umask(mask));
}

static JSValue js_getcwd(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                         JSValueConst *argv MOOR_UNUSED)
{
    char path[PATH_MAX];
    if (!getcwd(path, sizeof path))
        return JS_NewInt32(ctx, -errno);
    return moor_new_text(ctx, (const uint8_t *)path, strlen(path));
}

static JSValue js_chdir(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    MOOR_STRING(path, ctx);
    if (moor_arg_string(ctx, argv[0], "path", &path.text))
        return JS_EXCEPTION;
    return moor_status(ctx, chdir(path.text));
}

static JSValue js_fchdir(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd;
    if (moor_arg_int(ctx, argv[0], "fd", &fd))
        return JS_EXCEPTION;
    return moor_status(ctx, fchdir(fd));
}

// ---- spawn ----

// The request as C values: what is held here is given back by free_request.
typedef struct Request {
    MoorSpawn spawn;
    MoorString file, cwd;
    MoorFdMapping *fds;
} Request;

static void free_request(Request *request)
{
    moor_string_free(&request->file);
    moor_string_free(&request->cwd);
    moor_strings_free(request->spawn.argv);
    moor_strings_free(request->spawn.environment);
    free(request->fds);
}

// Reads object[name] by `read`; 0, or -1 with an exception.
#define READ_FIELD(object, name, read, ...)                      \
    do {                                                         \
        JSValue field_ = moor_get(ctx, object, name);            \
        int failed_ = JS_IsException(field_) || read(ctx, field_, name, __VA_ARGS__); \
        JS_FreeValue(ctx, field_);                               \
        if (failed_)                                             \
            return -1;                                           \
    } while (0)

static int read_optional_bool(JSContext *ctx, JSValueConst value, const char *name, bool *out)
{
    return JS_IsUndefined(value) ? 0 : moor_arg_bool(ctx, value, name, out);
}

static int read_optional_int(JSContext *ctx, JSValueConst value, const char *name, int *out)
{
    return JS_IsUndefined(value) ? 0 : moor_arg_int(ctx, value, name, out);
}

static int read_optional_string(JSContext *ctx, JSValueConst value, const char *name, const char **out)
{
    return JS_IsUndefined(value) ? 0 : moor_arg_string(ctx, value, name, out);
}

static int read_mapping(JSContext *ctx, JSValueConst value, MoorFdMapping *mapping)
{
    if (!JS_IsObject(value)) {
        JS_ThrowTypeError(ctx, "sys: each of fds must be an object");
        return -1;
    }
    READ_FIELD(value, "target", moor_arg_int, &mapping->target);
    READ_FIELD(value, "source", moor_arg_int, &mapping->source);
    if (mapping->target >= 0 && mapping->target <= HIGHEST_TARGET)
        return 0;
    JS_ThrowTypeError(ctx, "sys: %d is no target for an fd", mapping->target);
    return -1;
}

static int read_mappings(JSContext *ctx, JSValueConst value, const char *name, Request *request)
{
    if (JS_IsArray(ctx, value) != 1) {
        JS_ThrowTypeError(ctx, "sys: %s must be an array", name);
        return -1;
    }
    uint32_t count;
    READ_FIELD(value, "length", moor_arg_uint32, &count);
    if (count > HIGHEST_TARGET + 1) {
        JS_ThrowTypeError(ctx, "sys: %s must be an array of at most %d", name, HIGHEST_TARGET + 1);
        return -1;
    }
    request->fds = calloc((size_t)count + 1, sizeof *request->fds);
    if (!request->fds) {
        JS_ThrowOutOfMemory(ctx);
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        JSValue element = JS_GetPropertyUint32(ctx, value, i);
        int failed = JS_IsException(element) || read_mapping(ctx, element, &request->fds[i]);
        JS_FreeValue(ctx, element);
        if (failed)
            return -1;
    }
    request->spawn.fds = request->fds;
    request->spawn.fd_count = count;
    return 0;
}

static int read_request(JSContext *ctx, JSValueConst value, Request *request)
{
    if (!JS_IsObject(value)) {
        JS_ThrowTypeError(ctx, "sys: request must be an object");
        return -1;
    }
    MoorSpawn *spawn = &request->spawn;
    READ_FIELD(value, "file", moor_arg_string, &request->file.text);
    READ_FIELD(value, "argv", moor_arg_strings, &spawn->argv);
    READ_FIELD(value, "env", moor_arg_strings, &spawn->environment);
    READ_FIELD(value, "cwd", read_optional_string, &request->cwd.text);
    READ_FIELD(value, "fds", read_mappings, request);
    READ_FIELD(value, "newGroup", read_optional_bool, &spawn->new_group);
    READ_FIELD(value, "newSession", read_optional_bool, &spawn->new_session);
    READ_FIELD(value, "parentDeathSignal", read_optional_int, &spawn->parent_death_signal);
    spawn->file = request->file.text;
    spawn->cwd = request->cwd.text;
    return 0;
}

static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0); // CLOEXEC by itself
}

static JSValue js_spawn(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    Request request = {.file.ctx = ctx, .cwd.ctx = ctx};
    if (read_request(ctx, argv[0], &request)) {
        free_request(&request);
        return JS_EXCEPTION;
    }
    moor_crash_hold();
    pid_t pid = moor_spawn(&request.spawn);
    if (pid > 0)
        moor_children_spawned(pid);
    moor_crash_release();
    free_request(&request);
    if (pid < 0)
        return JS_NewInt32(ctx, pid);
    // Nobody but us reaps it, so the pid is its own even if it has ended already. There is a free fd: the child needed one
    // of the same number of fds to become the program.
    int pidfd = open_pidfd(pid);
    JSValue made = pidfd < 0 ? JS_NewInt32(ctx, -errno) : JS_NewObject(ctx);
    if (pidfd >= 0 && !JS_IsException(made)) {
        if (!moor_set_int(ctx, made, "pid", pid) && !moor_set_int(ctx, made, "pidfd", pidfd))
            return made;
        JS_FreeValue(ctx, made);
        made = JS_EXCEPTION;
    }
    // Nobody would know of it.
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    moor_children_forget(pid);
    if (pidfd >= 0)
        close(pidfd);
    return made;
}

// ---- how children end ----

static JSValue wait_for(JSContext *ctx, int kind, int64_t id, int options)
{
    siginfo_t info;
    int status;
    moor_crash_hold();
    do {
        memset(&info, 0, sizeof info);
        status = waitid((idtype_t)kind, (id_t)id, &info, WEXITED | WNOHANG | options);
    } while (status < 0 && errno == EINTR);
    int error = errno;
    if (status == 0 && info.si_pid && !(options & WNOWAIT))
        moor_children_reaped(info.si_pid, info.si_code, info.si_status);
    moor_crash_release();
    errno = error;
    if (status < 0)
        return kind == P_ALL && errno == ECHILD ? JS_UNDEFINED : JS_NewInt32(ctx, -errno);
    if (info.si_pid == 0)
        return JS_UNDEFINED;
    JSValue ended = JS_NewObject(ctx);
    if (JS_IsException(ended))
        return ended;
    if (!moor_set_int(ctx, ended, "pid", info.si_pid) && !moor_set_int(ctx, ended, "code", info.si_code) &&
        !moor_set_int(ctx, ended, "status", info.si_status))
        return ended;
    JS_FreeValue(ctx, ended);
    return JS_EXCEPTION;
}

static JSValue js_peek_any(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                           JSValueConst *argv MOOR_UNUSED)
{
    return wait_for(ctx, P_ALL, 0, WNOWAIT);
}

static JSValue wait_for_one(JSContext *ctx, JSValueConst value, const char *name, int kind, int options)
{
    int id;
    if (moor_arg_int(ctx, value, name, &id))
        return JS_EXCEPTION;
    return wait_for(ctx, kind, id, options);
}

static JSValue js_peek_pid(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    return wait_for_one(ctx, argv[0], "pid", P_PID, WNOWAIT);
}

static JSValue js_peek_pidfd(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                             JSValueConst *argv)
{
    return wait_for_one(ctx, argv[0], "pidfd", ID_PIDFD, WNOWAIT);
}

static JSValue js_reap(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    return wait_for_one(ctx, argv[0], "pid", P_PID, 0);
}

// ---- signals, by pid and by pidfd ----

static JSValue js_pidfd_open(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                             JSValueConst *argv)
{
    int pid;
    if (moor_arg_int(ctx, argv[0], "pid", &pid))
        return JS_EXCEPTION;
    return moor_result(ctx, open_pidfd(pid));
}

static JSValue js_pidfd_signal(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                               JSValueConst *argv)
{
    int pidfd, number;
    if (moor_arg_int(ctx, argv[0], "pidfd", &pidfd) || moor_arg_int(ctx, argv[1], "signal", &number))
        return JS_EXCEPTION;
    return moor_status(ctx, (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0));
}

static JSValue js_kill(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int pid, number;
    if (moor_arg_int(ctx, argv[0], "pid", &pid) || moor_arg_int(ctx, argv[1], "signal", &number))
        return JS_EXCEPTION;
    return moor_status(ctx, kill(pid, number));
}

// ---- namespaces ----

static JSValue js_setns(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED, JSValueConst *argv)
{
    int fd, type;
    if (moor_arg_int(ctx, argv[0], "fd", &fd) || moor_arg_int(ctx, argv[1], "nsType", &type))
        return JS_EXCEPTION;
    return moor_status(ctx, setns(fd, type));
}

static int write_map(pid_t pid, const char *file, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    // A map takes one write, whole.
    int status = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return status;
}

// What the helper does: it waits to be killed, and does not outlive us (it holds copies of all our fds).
static _Noreturn void stay_until_killed(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    while (getppid() == parent)
        pause();
    _exit(0);
}

// The namespace needs a process in it until somebody holds an fd of it. The helper is over before this returns, and its
// exit signal is none, so that nobody who waits for children meets it.
static int new_user_namespace(const char *uid_map, const char *gid_map)
{
    pid_t parent = getpid();
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER, 0, 0, 0, 0);
    if (pid < 0)
        return -errno;
    if (pid == 0)
        stay_until_killed(parent);
    int status = write_map(pid, "uid_map", uid_map);
    if (status == 0)
        status = write_map(pid, "gid_map", gid_map);
    if (status == 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
        status = open(path, O_RDONLY | O_CLOEXEC);
        if (status < 0)
            status = -errno;
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        continue;
    return status;
}

static JSValue js_user_namespace(JSContext *ctx, JSValueConst this_val MOOR_UNUSED, int argc MOOR_UNUSED,
                                 JSValueConst *argv)
{
    MOOR_STRING(uid_map, ctx);
    MOOR_STRING(gid_map, ctx);
    if (moor_arg_string(ctx, argv[0], "uidMap", &uid_map.text) ||
        moor_arg_string(ctx, argv[1], "gidMap", &gid_map.text))
        return JS_EXCEPTION;
    return JS_NewInt32(ctx, new_user_namespace(uid_map.text, gid_map.text));
}

static const JSCFunctionListEntry funcs[] = {
    MOOR_FN("getpid", 0, js_getpid),
    MOOR_FN("getppid", 0, js_getppid),
    MOOR_FN("getuid", 0, js_getuid),
    MOOR_FN("fork", 0, js_fork),
    MOOR_FN("setsid", 0, js_setsid),
    MOOR_FN("becomeSubreaper", 0, js_become_subreaper),
    MOOR_FN("setProcessName", 1, js_set_process_name),
    MOOR_FN("prctl", 5, js_prctl),
    MOOR_FN("umask", 1, js_umask),
    MOOR_FN("getcwd", 0, js_getcwd),
    MOOR_FN("chdir", 1, js_chdir),
    MOOR_FN("fchdir", 1, js_fchdir),
    MOOR_FN("spawn", 1, js_spawn),
    MOOR_FN("peekAny", 0, js_peek_any),
    MOOR_FN("peekPid", 1, js_peek_pid),
    MOOR_FN("peekPidfd", 1, js_peek_pidfd),
    MOOR_FN("reap", 1, js_reap),
    MOOR_FN("pidfdOpen", 1, js_pidfd_open),
    MOOR_FN("pidfdSignal", 2, js_pidfd_signal),
    MOOR_FN("kill", 2, js_kill),
    MOOR_FN("setns", 2, js_setns),
    MOOR_FN("userNamespace", 2, js_user_namespace),
};
MOOR_SYS_PART(process, funcs)
