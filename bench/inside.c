// What runs in the bench's containers, static and small:
//
//   inside idle          waits for ever
//   inside exit GO STAMP waits until somebody opens the FIFO GO for writing, stores CLOCK_MONOTONIC in nanoseconds into the
//                        first eight bytes of the file STAMP, and ends: through memory, so that nothing but the exit
//                        itself is between the stamp and the end
//   inside write BYTES   writes lines, in pieces of 64 KiB, as fast as they are taken
//   inside every MS      writes a line each MS milliseconds for ever

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 16, LINE_BYTES = 128 };

static char piece[PIECE_BYTES];

static int exit_stamped(const char *go, const char *stamp)
{
    int fd = open(stamp, O_RDWR);
    if (fd < 0)
        return 1;
    volatile int64_t *at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return 1;
    *at = 0; // the page is there before it counts
    if (open(go, O_RDONLY) < 0)
        return 1;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *at = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    _exit(0);
}

static void write_all(size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(1, piece + done, size - done);
        if (count < 0 && errno != EINTR)
            _exit(1);
        if (count > 0)
            done += (size_t)count;
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "idle") == 0)
        for (;;)
            pause();
    if (argc == 4 && strcmp(argv[1], "exit") == 0)
        return exit_stamped(argv[2], argv[3]);
    if (argc != 3)
        return 2;
    memset(piece, 'm', sizeof piece);
    for (size_t end = LINE_BYTES - 1; end < sizeof piece; end += LINE_BYTES)
        piece[end] = '\n';
    long number = atol(argv[2]);
    if (strcmp(argv[1], "write") == 0) {
        for (; number > 0; number -= PIECE_BYTES)
            write_all(number < PIECE_BYTES ? (size_t)number : PIECE_BYTES);
        return 0;
    }
    struct timespec pause_time = {.tv_sec = number / 1000, .tv_nsec = number % 1000 * 1000000};
    for (;;) {
        write_all(LINE_BYTES);
        nanosleep(&pause_time, NULL);
    }
}
