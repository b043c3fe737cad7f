// The reader of containers' output:
//
//   drain FIFO PID      reads a FIFO from its first byte to its end and prints "BYTES NANOSECONDS CPU", CPU being the
//                       nanoseconds of processor time, of all its threads, that process PID (a shim) used meanwhile
//   drain all FIFO...   reads many FIFOs and throws away what comes, until standard input ends

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FIFOS = 512, BUFFER_BYTES = 1 << 20 };

static uint8_t buffer[BUFFER_BYTES];

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "drain: %s: %s\n", what, strerror(errno));
    exit(125);
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) < 0)
        fail("clock_gettime");
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int drain(const char *path, pid_t pid)
{
    clockid_t cpu;
    if (clock_getcpuclockid(pid, &cpu) != 0)
        fail("clock_getcpuclockid");
    int fd = open(path, O_RDONLY | O_CLOEXEC); // waits for the shim
    if (fd < 0)
        fail(path);
    int64_t bytes = 0, began = 0, cpu_began = 0;
    for (;;) {
        ssize_t count = read(fd, buffer, sizeof buffer);
        if (count < 0 && errno != EINTR)
            fail("read");
        if (count == 0)
            break;
        if (began == 0) {
            began = read_clock(CLOCK_MONOTONIC);
            cpu_began = read_clock(cpu);
        } else if (count > 0) {
            bytes += count; // what came before the clock ran does not count
        }
    }
    printf("%lld %lld %lld\n", (long long)bytes, (long long)(read_clock(CLOCK_MONOTONIC) - began),
           (long long)(read_clock(cpu) - cpu_began));
    return 0;
}

static int drain_all(char **paths, int count)
{
    static struct pollfd polls[MOST_FIFOS + 1];
    if (count > MOST_FIFOS)
        return 125;
    polls[0] = (struct pollfd){.fd = 0, .events = POLLIN};
    for (int i = 0; i < count; i++) {
        // Open for both, so that it does not end, and does not report an end, as long as this runs.
        polls[i + 1] = (struct pollfd){.fd = open(paths[i], O_RDWR | O_NONBLOCK | O_CLOEXEC), .events = POLLIN};
        if (polls[i + 1].fd < 0)
            fail(paths[i]);
    }
    printf("ready\n");
    fflush(stdout);
    while (!polls[0].revents) {
        if (poll(polls, (nfds_t)count + 1, -1) < 0 && errno != EINTR)
            fail("poll");
        for (int i = 1; i <= count; i++) {
            if (polls[i].revents && read(polls[i].fd, buffer, sizeof buffer) < 0 && errno != EAGAIN)
                fail("read");
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "all") == 0)
        return drain_all(argv + 2, argc - 2);
    if (argc == 3 && atoi(argv[2]) > 0)
        return drain(argv[1], atoi(argv[2]));
    fprintf(stderr, "usage: drain FIFO PID | all FIFO...\n");
    return 125;
}
