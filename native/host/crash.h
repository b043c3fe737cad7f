// What a crash of this program becomes: once armed, a fault, an abort or an exhausted heap executes the program anew in the
// same process, with all its fds and the kept memory (kept.h), and main goes on from there.
#ifndef MOOR_HOST_CRASH_H
#define MOOR_HOST_CRASH_H

#include <stdbool.h>

// Handles crashes of this process from now on; something must be kept. 0 or -errno.
int moor_crash_arm(char **argv, char **environment);
// The fd of the kept memory when this image goes on after a crash, else -1. Takes the word of it out of the environment.
int moor_crash_resumed_fd(char **environment);
// The heap is exhausted: does not return when crashes are handled.
void moor_crash_out_of_memory(void);

// Between these a crash that another process has sent (kill) waits: what is kept is between two states. They nest.
void moor_crash_hold(void);
void moor_crash_release(void);

#endif
