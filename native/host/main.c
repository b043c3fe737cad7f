// The executable: ignores SIGPIPE (a peer that goes away is an errno, not a death), starts the engine and runs main.js.

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine.h"

extern char **environ;

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    JSContext *ctx = moor_engine_start(argc, argv, environ);
    int status = moor_engine_run(ctx, "main.js");
#ifdef MOOR_LOOK_FOR_LEAKS
    moor_engine_stop(ctx);
    exit(status);
#else
    _exit(status); // the kernel frees it all at once, and quicker
#endif
}
