// vfork and execve. The child shares our memory until it has become the program, so between the two it does system calls
// only, and tells of a failure through a variable of ours. (vfork costs the same however large we are: fork copies page
// tables.)

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn.h"

#ifndef SYS_close_range
#define SYS_close_range 436 // the same number on every architecture; musl 1.2.3 has it, older headers may not
#endif

enum { HIGHEST_SIGNAL = 64, KERNEL_SIGSET_BYTES = 8 };

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What the child needs beside the request, made ready before it exists.
typedef struct Child {
    const MoorSpawn *request;
    char **candidates; // the paths at which the program may be, in order
    int *copies;       // room for one fd a mapping
    bool *is_target;   // for fds below target_end
    int target_end;    // one more than the highest target, at least 3
    pid_t parent;
    volatile int error;
} Child;

static const char *path_of(char **environment)
{
    for (; *environment; environment++) {
        if (strncmp(*environment, "PATH=", 5) == 0)
            return *environment + 5;
    }
    return default_path;
}

static void free_strings(char **strings)
{
    for (char **at = strings; strings && *at; at++)
        free(*at);
    free(strings);
}

// The paths to try: the name itself when it holds a slash, else below each folder of PATH (an empty one is the current).
// An empty name stays one, which is ENOENT: below a folder it would be the folder.
static char **list_candidates(const MoorSpawn *request)
{
    if (!*request->file || strchr(request->file, '/')) {
        char **one = calloc(2, sizeof *one);
        if (one && !(one[0] = strdup(request->file))) {
            free(one);
            return NULL;
        }
        return one;
    }
    const char *path = path_of(request->environment);
    size_t count = 1;
    for (const char *at = path; *at; at++)
        count += *at == ':';
    char **list = calloc(count + 1, sizeof *list);
    size_t name_size = strlen(request->file) + 1;
    for (size_t i = 0; list && i < count; i++) {
        size_t length = strcspn(path, ":");
        list[i] = malloc(length + 2 + name_size);
        if (!list[i]) {
            free_strings(list);
            return NULL;
        }
        memcpy(list[i], length ? path : ".", length ? length : 1);
        size_t end = length ? length : 1;
        list[i][end] = '/';
        memcpy(list[i] + end + 1, request->file, name_size);
        path += length + (path[length] == ':');
    }
    return list;
}

// ---- in the child: 0, or an errno ----

// What we ignore (SIGPIPE) or were started with ignored would stay so in the program.
static void default_signals(void)
{
    // By the system call: the libc keeps two or three signals for itself, and one of those may be ignored as well. All zeros
    // is SIG_DFL without flags and mask in the kernel's own form of the struct, on every architecture.
    static const char defaults[64];
    for (int number = 1; number <= HIGHEST_SIGNAL; number++)
        syscall(SYS_rt_sigaction, number, defaults, NULL, KERNEL_SIGSET_BYTES); // EINVAL: not ours to change
}

// Every source is first copied above all targets, so that no target overwrites a source that is still needed.
static int place_fds(Child *child)
{
    const MoorSpawn *request = child->request;
    int null_fd = -1;
    for (size_t i = 0; i < request->fd_count; i++) {
        child->copies[i] = fcntl(request->fds[i].source, F_DUPFD_CLOEXEC, child->target_end);
        if (child->copies[i] < 0)
            return errno;
    }
    for (int fd = 0; fd < 3; fd++) {
        if (child->is_target[fd])
            continue;
        if (null_fd < 0) {
            int opened = open("/dev/null", O_RDWR | O_CLOEXEC);
            if (opened < 0)
                return errno;
            null_fd = fcntl(opened, F_DUPFD_CLOEXEC, child->target_end);
            if (null_fd < 0)
                return errno;
        }
        if (dup2(null_fd, fd) < 0)
            return errno;
    }
    for (size_t i = 0; i < request->fd_count; i++) {
        if (dup2(child->copies[i], request->fds[i].target) < 0)
            return errno;
    }
    // All our fds go with exec; what was left open to us by our own starter does not.
    for (int fd = 3; fd < child->target_end; fd++) {
        if (!child->is_target[fd])
            close(fd);
    }
    syscall(SYS_close_range, child->target_end, ~0U, 0); // ENOSYS before Linux 5.9: then CLOEXEC alone has to do
    return 0;
}

static int become(Child *child)
{
    bool searches = !strchr(child->request->file, '/');
    int failure = ENOENT;
    for (char **file = child->candidates; *file; file++) {
        execve(*file, child->request->argv, child->request->environment);
        if (errno == EACCES)
            failure = EACCES; // one further on may be better
        else if (!searches || (errno != ENOENT && errno != ENOTDIR))
            return errno;
    }
    return failure;
}

static int prepare(Child *child)
{
    const MoorSpawn *request = child->request;
    default_signals();
    if (request->new_session ? setsid() < 0 : request->new_group && setpgid(0, 0) < 0)
        return errno;
    if (request->parent_death_signal) {
        if (prctl(PR_SET_PDEATHSIG, request->parent_death_signal, 0, 0, 0) < 0)
            return errno;
        if (getppid() != child->parent)
            return ESRCH; // it died before the signal was asked for
    }
    int error = place_fds(child);
    if (!error && request->cwd && chdir(request->cwd) < 0)
        error = errno;
    if (!error) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
    }
    return error;
}

// ---- in the parent ----

static pid_t start(Child *child)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); // no handler of ours may run in the child
    pid_t pid = vfork();
    if (pid == 0) {
        child->error = prepare(child);
        if (!child->error)
            child->error = become(child);
        _exit(127);
    }
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return -error;
    if (!child->error)
        return pid;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return -child->error;
}

pid_t moor_spawn(const MoorSpawn *request)
{
    Child child = {.request = request, .target_end = 3, .parent = getpid()};
    for (size_t i = 0; i < request->fd_count; i++) {
        if (request->fds[i].target >= child.target_end)
            child.target_end = request->fds[i].target + 1;
    }
    child.candidates = list_candidates(request);
    child.copies = calloc(request->fd_count + 1, sizeof *child.copies);
    child.is_target = calloc((size_t)child.target_end, sizeof *child.is_target);
    pid_t pid = -ENOMEM;
    if (child.candidates && child.copies && child.is_target) {
        for (size_t i = 0; i < request->fd_count; i++)
            child.is_target[request->fds[i].target] = true;
        pid = start(&child);
    }
    free_strings(child.candidates);
    free(child.copies);
    free(child.is_target);
    return pid;
}
