// The followed connections (follow.h). Both directions of ttrpc are frames of ten bytes of header (length, stream id, type,
// flags; big endian) and a body. A request is unanswered from the moment its last byte was read until the last byte of
// the frame that ends it was written (data of a stream does so only when it is the last); a crash that is sent to us waits
// between a system call and the note of it.

#include "follow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../host/crash.h"
#include "../host/kept.h"

enum {
    HEADER_BYTES = 10,
    REQUEST = 1,
    RESPONSE = 2,
    DATA = 3,
    CLOSED = 1, // flag: its sender's last
    // Longer ones are of no use afterwards: only questions are asked again, and those are short.
    KEPT_FRAME_BYTES = 1024,
    LONGEST_BODY = 4 << 20,
    FIRST_INPUT_BYTES = 4096,
    // Of all connections together. What goes beyond is only counted, and its connection would not outlive a crash: else
    // those who send halves of long frames would have the shim hold them a second time.
    ALL_INPUT_BYTES = 6 << 20,
};

static size_t all_input; // bytes of the blocks of frames that have come in part

static MoorConnection **followed; // by fd
static int capacity;

static MoorConnection *find(int fd)
{
    return fd >= 0 && fd < capacity ? followed[fd] : NULL;
}

static bool enter(MoorConnection *connection)
{
    int fd = connection->fd;
    if (fd >= capacity) {
        int wanted = capacity ? capacity : 32;
        while (wanted <= fd)
            wanted *= 2;
        MoorConnection **grown = realloc(followed, (size_t)wanted * sizeof(MoorConnection *));
        if (!grown)
            return false;
        memset(grown + capacity, 0, (size_t)(wanted - capacity) * sizeof *grown);
        followed = grown;
        capacity = wanted;
    }
    followed[fd] = connection;
    return true;
}

int moor_follow_start(int fd)
{
    if (!moor_kept_on())
        return 0;
    if (fd < 0)
        return -EBADF;
    if (find(fd))
        return -EEXIST;
    MoorConnection *connection = moor_kept_new(MOOR_KEPT_CONNECTION, sizeof *connection);
    if (!connection)
        return -ENOMEM;
    connection->fd = fd;
    if (enter(connection))
        return 0;
    moor_kept_free(connection);
    return -ENOMEM;
}

void moor_follow_resume(void)
{
    for (MoorConnection *at = NULL; (at = moor_kept_next(MOOR_KEPT_CONNECTION, at));) {
        if (!enter(at))
            return;
        all_input += at->input ? moor_kept_size(moor_kept_at(at->input)) : 0;
        fcntl(at->fd, F_SETFD, FD_CLOEXEC);
    }
}

static void free_input(MoorConnection *connection)
{
    void *input = moor_kept_at(connection->input);
    if (input)
        all_input -= moor_kept_size(input);
    moor_kept_free(input);
    connection->input = 0;
}

static void free_at(uint32_t *offset)
{
    if (*offset)
        moor_kept_free(moor_kept_at(*offset));
    *offset = 0;
}

void moor_follow_end(int fd)
{
    MoorConnection *connection = find(fd);
    if (!connection)
        return;
    moor_crash_hold();
    followed[fd] = NULL;
    while (connection->calls) {
        MoorCall *call = moor_kept_at(connection->calls);
        connection->calls = call->next;
        moor_kept_free(call);
    }
    free_input(connection);
    free_at(&connection->output);
    moor_kept_free(connection);
    moor_crash_release();
}

static uint32_t number_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

// ---- requests ----

static void request_came(MoorConnection *connection, const uint8_t *frame, size_t size)
{
    if (frame[8] != REQUEST)
        return;
    size_t kept = size <= KEPT_FRAME_BYTES ? size : 0;
    MoorCall *call = moor_kept_new(MOOR_KEPT_CALL, sizeof *call + kept);
    if (!call)
        return; // after a crash this one would not be answered
    call->id = number_at(frame + 4);
    call->next = connection->calls;
    call->size = (uint32_t)kept;
    memcpy(call->frame, frame, kept);
    connection->calls = moor_kept_offset(call);
}

static void answered(MoorConnection *connection, uint32_t id)
{
    uint32_t *at = &connection->calls;
    while (*at) {
        MoorCall *call = moor_kept_at(*at);
        if (call->id == id) {
            *at = call->next;
            moor_kept_free(call);
            return;
        }
        at = &call->next;
    }
}

static bool make_room(MoorConnection *connection, size_t size)
{
    uint8_t *old = moor_kept_at(connection->input);
    if (old && moor_kept_size(old) >= size)
        return true;
    size_t wanted = old ? moor_kept_size(old) * 2 : FIRST_INPUT_BYTES;
    while (wanted < size)
        wanted *= 2;
    if (wanted > connection->input_size)
        wanted = connection->input_size;
    if (all_input + wanted > ALL_INPUT_BYTES)
        return false;
    uint8_t *grown = moor_kept_new(MOOR_KEPT_INPUT, wanted);
    if (!grown)
        return false;
    all_input += wanted;
    if (old)
        memcpy(grown, old, connection->input_fill);
    free_input(connection);
    connection->input = moor_kept_offset(grown);
    return true;
}

// Takes what belongs to the frame that has begun: how many bytes that is.
static size_t go_on(MoorConnection *connection, const uint8_t *data, size_t size)
{
    size_t left = connection->input_size - connection->input_fill;
    size_t count = size < left ? size : left;
    if (!make_room(connection, connection->input_fill + count)) {
        connection->skip = left;
        free_input(connection);
        return 0;
    }
    uint8_t *input = moor_kept_at(connection->input);
    memcpy(input + connection->input_fill, data, count);
    connection->input_fill += (uint32_t)count;
    if (connection->input_fill == connection->input_size) {
        request_came(connection, input, connection->input_size);
        free_input(connection);
    }
    return count;
}

// A whole header is there. It is followed by its body, which may be here, whole or in part.
static size_t begin(MoorConnection *connection, const uint8_t *header, const uint8_t *body, size_t size)
{
    uint32_t length = number_at(header);
    if (length > LONGEST_BODY) {
        connection->skip = length;
        return 0;
    }
    if (length <= size && body == header + HEADER_BYTES) {
        request_came(connection, header, HEADER_BYTES + length);
        return length;
    }
    connection->input_size = HEADER_BYTES + length;
    connection->input_fill = 0;
    go_on(connection, header, HEADER_BYTES);
    if (connection->skip)
        connection->skip = length; // no memory for it, and the header has been counted
    return connection->input ? go_on(connection, body, size) : 0;
}

static void bytes_came(MoorConnection *connection, const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;
    while (data < end) {
        size_t left = (size_t)(end - data);
        if (connection->skip) {
            size_t count = left < connection->skip ? left : (size_t)connection->skip;
            connection->skip -= count;
            data += count;
        } else if (connection->input) {
            data += go_on(connection, data, left);
        } else if (!connection->header_fill && left >= HEADER_BYTES) {
            data += HEADER_BYTES + begin(connection, data, data + HEADER_BYTES, left - HEADER_BYTES);
        } else {
            connection->header[connection->header_fill++] = *data++;
            if (connection->header_fill < HEADER_BYTES)
                continue;
            connection->header_fill = 0;
            data += begin(connection, connection->header, data, (size_t)(end - data));
        }
    }
}

ssize_t moor_follow_read(int fd, uint8_t *data, size_t size)
{
    MoorConnection *connection = find(fd);
    if (!connection)
        return read(fd, data, size);
    moor_crash_hold();
    ssize_t got = read(fd, data, size);
    int error = errno;
    if (got > 0)
        bytes_came(connection, data, (size_t)got);
    moor_crash_release();
    errno = error;
    return got;
}

// ---- answers ----

static bool ends_call(const uint8_t *frame)
{
    return frame[8] == RESPONSE || (frame[8] == DATA && (frame[9] & CLOSED));
}

static void bytes_went(MoorConnection *connection, const uint8_t *data, size_t left, size_t count)
{
    if (!connection->output_size) {
        if (left < HEADER_BYTES)
            return;
        uint32_t id = number_at(data + 4);
        if (count == left) {
            if (ends_call(data))
                answered(connection, id);
            return;
        }
        // The frame is kept from its start: how much of it has gone is a number.
        uint8_t *frame = moor_kept_new(MOOR_KEPT_OUTPUT, left);
        if (!frame)
            return;
        memcpy(frame, data, left);
        connection->output = moor_kept_offset(frame);
        connection->output_id = id;
        connection->output_done = (uint32_t)count;
        connection->output_size = (uint32_t)left;
        return;
    }
    connection->output_done += (uint32_t)count;
    if (connection->output_done < connection->output_size)
        return;
    if (ends_call(moor_kept_at(connection->output)))
        answered(connection, connection->output_id);
    free_at(&connection->output);
    connection->output_size = 0;
}

ssize_t moor_follow_write(int fd, const uint8_t *data, size_t left)
{
    MoorConnection *connection = find(fd);
    if (!connection)
        return write(fd, data, left);
    moor_crash_hold();
    ssize_t count = write(fd, data, left);
    int error = errno;
    if (count > 0)
        bytes_went(connection, data, left, (size_t)count);
    moor_crash_release();
    errno = error;
    return count;
}
