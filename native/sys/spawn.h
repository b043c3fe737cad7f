// Starting a program: what process.c takes from JavaScript, and spawn.c does.
#ifndef MOOR_SYS_SPAWN_H
#define MOOR_SYS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct MoorFdMapping {
    int target;
    int source;
} MoorFdMapping;

typedef struct MoorSpawn {
    const char *file; // with a slash, or a name to be looked up in the PATH of environment
    char **argv;
    char **environment;
    const char *cwd; // NULL: ours
    const MoorFdMapping *fds;
    size_t fd_count;
    bool new_group;
    bool new_session;
    int parent_death_signal; // 0: none
} MoorSpawn;

// The pid of the new process, or -errno: then no process remains, also when it was exec that failed.
pid_t moor_spawn(const MoorSpawn *request);

#endif
