// What the next image of the program must know of children: which of them we have started ourselves (the others came to us
// as a subreaper), and how those ended that were reaped in the turn that a crash has cut short.
#ifndef MOOR_SYS_CHILDREN_H
#define MOOR_SYS_CHILDREN_H

#include <stdint.h>
#include <sys/types.h>

typedef struct MoorSpawned {
    int32_t pid;
} MoorSpawned;

typedef struct MoorReaped {
    int32_t pid, code, status; // of waitid
} MoorReaped;

void moor_children_spawned(pid_t pid);
// It is no child any more, and nobody need know how it ended.
void moor_children_forget(pid_t pid);
void moor_children_reaped(pid_t pid, int code, int status);
// What was reaped so far is in other hands.
void moor_children_forget_reaped(void);

#endif
