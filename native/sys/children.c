// Notes on children in the kept memory (children.h). Without one nothing is noted.

#include "children.h"

#include <stdbool.h>
#include <stddef.h>

#include "../host/kept.h"

static bool any_reaped = true; // those of the image before

void moor_children_spawned(pid_t pid)
{
    MoorSpawned *spawned = moor_kept_on() ? moor_kept_new(MOOR_KEPT_SPAWNED, sizeof *spawned) : NULL;
    if (spawned)
        spawned->pid = pid;
}

void moor_children_forget(pid_t pid)
{
    for (MoorSpawned *at = NULL; (at = moor_kept_next(MOOR_KEPT_SPAWNED, at));) {
        if (at->pid == pid) {
            moor_kept_free(at);
            return;
        }
    }
}

void moor_children_reaped(pid_t pid, int code, int status)
{
    MoorReaped *reaped = moor_kept_on() ? moor_kept_new(MOOR_KEPT_REAPED, sizeof *reaped) : NULL;
    if (reaped) {
        *reaped = (MoorReaped){.pid = pid, .code = code, .status = status};
        any_reaped = true;
    }
    moor_children_forget(pid);
}

void moor_children_forget_reaped(void)
{
    if (!any_reaped)
        return;
    any_reaped = false;
    for (MoorReaped *at = NULL; (at = moor_kept_next(MOOR_KEPT_REAPED, at));)
        moor_kept_free(at);
}
