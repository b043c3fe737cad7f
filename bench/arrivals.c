// What arrives from shims, stamped the moment it is here, in C so that the driver's own delays are not in the figures:
//
//   arrivals serve PATH     is the daemon's event service at the socket PATH: answers every request with an empty
//                           response, and prints each
//   arrivals relay SOCKET   sends what comes on standard input (ttrpc frames) to a shim, and prints each answer
//
// A line is "NANOSECONDS HEX": CLOCK_MONOTONIC when the frame's last byte was read, and the frame's payload; with relay
// the stream's number stands between. It ends when standard input does.

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEADER_BYTES = 10, MOST_BYTES = 4 << 20, MOST_PEERS = 512, RESPONSE = 2 };

typedef struct Peer {
    int fd;
    uint8_t *bytes;
    size_t size, room;
} Peer;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "arrivals: %s: %s\n", what, strerror(errno));
    exit(125);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void write_all(int fd, const void *from, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(fd, (const uint8_t *)from + done, size - done);
        if (count < 0 && (errno == EPIPE || errno == ECONNRESET))
            return; // the shim has ended
        if (count < 0 && errno != EINTR)
            fail("write");
        if (count > 0)
            done += (size_t)count;
    }
}

static uint32_t read_be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void print_frame(int64_t at, const uint8_t *frame, size_t payload, bool with_stream)
{
    static const char digits[] = "0123456789abcdef";
    char *line = malloc(64 + 2 * payload);
    if (!line)
        fail("malloc");
    int length = with_stream ? sprintf(line, "%lld %u ", (long long)at, read_be32(frame + 4))
                             : sprintf(line, "%lld ", (long long)at);
    char *to = line + length;
    for (size_t i = 0; i < payload; i++) {
        *to++ = digits[frame[HEADER_BYTES + i] >> 4];
        *to++ = digits[frame[HEADER_BYTES + i] & 15];
    }
    *to++ = '\n';
    write_all(1, line, (size_t)(to - line));
    free(line);
}

// A response without status and with an empty message: field 2, no bytes.
static void answer(int fd, const uint8_t *request)
{
    uint8_t frame[HEADER_BYTES + 2] = {0, 0, 0, 2, request[4], request[5], request[6], request[7], RESPONSE, 0, 0x12, 0};
    write_all(fd, frame, sizeof frame);
}

// Reads what is there and takes the whole frames out of it. False when the peer is gone.
static bool take(Peer *peer, bool serves)
{
    if (peer->size == peer->room) {
        peer->room = peer->room ? peer->room * 2 : 1 << 16;
        peer->bytes = realloc(peer->bytes, peer->room);
        if (!peer->bytes || peer->room > 4 * MOST_BYTES)
            fail("realloc");
    }
    ssize_t count = read(peer->fd, peer->bytes + peer->size, peer->room - peer->size);
    if (count <= 0)
        return count < 0 && errno == EINTR;
    int64_t at = now_ns();
    peer->size += (size_t)count;
    size_t done = 0;
    while (peer->size - done >= HEADER_BYTES) {
        const uint8_t *frame = peer->bytes + done;
        size_t payload = read_be32(frame);
        if (peer->size - done < HEADER_BYTES + payload)
            break;
        if (serves)
            answer(peer->fd, frame);
        print_frame(at, frame, payload, !serves);
        done += HEADER_BYTES + payload;
    }
    memmove(peer->bytes, peer->bytes + done, peer->size - done);
    peer->size -= done;
    return true;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(address.sun_path, path);
    return address;
}

static int serve(const char *path)
{
    static Peer peers[MOST_PEERS];
    static struct pollfd polls[MOST_PEERS + 2];
    struct sockaddr_un address = address_of(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), count = 0;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1024) < 0)
        fail(path);
    write_all(1, "ready\n", 6);
    for (;;) {
        polls[0] = (struct pollfd){.fd = 0, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = count < MOST_PEERS ? listener : -1, .events = POLLIN};
        for (int i = 0; i < count; i++)
            polls[i + 2] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
        if (poll(polls, (nfds_t)count + 2, -1) < 0 && errno != EINTR)
            fail("poll");
        for (int i = count - 1; i >= 0; i--) {
            if (!polls[i + 2].revents || take(&peers[i], true))
                continue;
            close(peers[i].fd);
            free(peers[i].bytes);
            peers[i] = peers[--count];
        }
        if (polls[1].revents) {
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                peers[count++] = (Peer){.fd = fd};
        }
        if (polls[0].revents)
            return 0;
    }
}

static int relay(const char *path)
{
    static uint8_t buffer[1 << 16];
    struct sockaddr_un address = address_of(path);
    Peer shim = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (shim.fd < 0 || connect(shim.fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail(path);
    for (;;) {
        struct pollfd polls[2] = {{.fd = 0, .events = POLLIN}, {.fd = shim.fd, .events = POLLIN}};
        if (poll(polls, 2, -1) < 0 && errno != EINTR)
            fail("poll");
        if (polls[1].revents && !take(&shim, false))
            return 0;
        if (!polls[0].revents)
            continue;
        ssize_t count = read(0, buffer, sizeof buffer);
        if (count <= 0)
            return 0;
        write_all(shim.fd, buffer, (size_t)count);
    }
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); // a shim that leaves does not wait for its last answer
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    if (argc == 3 && strcmp(argv[1], "relay") == 0)
        return relay(argv[2]);
    fprintf(stderr, "usage: arrivals serve PATH | relay SOCKET <FRAMES\n");
    return 125;
}
