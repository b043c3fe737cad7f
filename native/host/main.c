// The executable: makes sure of what all code takes for granted (0, 1 and 2 are open; SIGPIPE is ignored: a peer that goes
// away is an errno, not a death), goes on with what a crashed image has left, starts the engine and runs main.js.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../sys/module.h"
#include "crash.h"
#include "engine.h"
#include "kept.h"

extern char **environ;

// Whoever starts us with one of 0, 1, 2 closed would see it taken by the next open, and written to as stderr.
static void open_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(1);
    }
}

static void go_on(int kept_fd, char **argv)
{
    int status = moor_kept_go_on(kept_fd, argv, environ);
    if (status < 0) {
        fprintf(stderr, "moor: what the crash has left cannot be gone on with: %s\n", strerror(-status));
        _exit(1);
    }
    fcntl(kept_fd, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_NAME, moor_kept_head()->name, 0, 0, 0);
}

int main(int argc, char **argv)
{
    open_standard_fds();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow (RLIMIT_FSIZE) is an error of its writer, and no reason to end
    signal(SIGCHLD, SIG_DFL); // one who starts us with it ignored would have the kernel reap our children, unseen
    int kept_fd = moor_crash_resumed_fd(environ);
    if (kept_fd >= 0)
        go_on(kept_fd, argv);
    JSContext *ctx = moor_engine_start(argc, argv, environ);
    int status = moor_engine_run(ctx, "main.js");
#ifdef MOOR_LOOK_FOR_LEAKS
    moor_engine_stop(ctx);
    exit(status);
#else
    _exit(status); // the kernel frees it all at once, and quicker
#endif
}
