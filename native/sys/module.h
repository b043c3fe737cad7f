// The module "sys" and the globals that come with it, as the host's start needs them.
#ifndef MOOR_SYS_MODULE_H
#define MOOR_SYS_MODULE_H

#include "glue.h"

// Declares the builtin module `name`, whose default export is the Sys object of src/sys/sys.d.ts. NULL: out of memory.
JSModuleDef *moor_sys_module(JSContext *ctx, const char *name);
// TextEncoder and TextDecoder. 0, or -1.
int moor_sys_add_text_globals(JSContext *ctx);
// Lets go of the functions that the loop's part still holds.
void moor_sys_close_events(void);
// The pumps of the image before a crash are found again; those that nobody goes on with are ended.
void moor_pumps_resume(void);
void moor_pumps_drop_rest(void);
// Goes on with what is kept in the memfd of the image before, crashes handled. 0 or -errno.
int moor_kept_go_on(int fd, char **argv, char **environment);
// The turn is over: what has changed in it is written down.
void moor_kept_end_turn(void);
void moor_kept_close(void);

#endif
