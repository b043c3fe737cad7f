// Connections whose requests must be answered whatever happens to this image of the program (host/kept.h): what has come
// and is not answered, what has come in part, what has gone in part.
#ifndef MOOR_SYS_FOLLOW_H
#define MOOR_SYS_FOLLOW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// A request that has no answer yet. Its frame is kept when it is short.
typedef struct MoorCall {
    uint32_t id;
    uint32_t next; // offset of the next one of the same connection
    uint32_t size; // of the frame; 0: not kept
    uint8_t frame[];
} MoorCall;

typedef struct MoorConnection {
    int32_t fd;
    uint32_t calls; // offset of the newest
    // Of the frame that is coming: a part of its header, or, with its block, header and a part of its body.
    uint32_t input, input_fill, input_size;
    uint64_t skip; // bytes to come of a frame that is not kept: too long to be anybody's, or beyond what all may have
    uint8_t header[10];
    uint8_t header_fill;
    // Of the frame that is going.
    uint32_t output, output_done, output_size, output_id;
} MoorConnection;

// From now on what is read from and written to fd is followed. 0, -EEXIST or -ENOMEM.
int moor_follow_start(int fd);
// Goes on with the connections of the image before.
void moor_follow_resume(void);
// read(2) and write(2), seen to when fd is a followed one. `left` of `data` are offered: the rest of one frame.
ssize_t moor_follow_read(int fd, uint8_t *data, size_t size);
ssize_t moor_follow_write(int fd, const uint8_t *data, size_t left);
// To be called when an fd is closed.
void moor_follow_end(int fd);

#endif
