// The bench's clock, in C so that the driver's own cost is not in the figures:
//
//   stopwatch run [-g PROCS] FILE ARGS...
//                                runs it as a daemon calls a shim: standard input /dev/null, standard output and error in
//                                one pipe, until both the pipe and the process have ended. Prints "NANOSECONDS STATUS", a
//                                line end, and then what it printed. It runs in the cgroup whose cgroup.procs PROCS is.
//   stopwatch evict FILE...      writes files down to the disk and has the kernel forget its copies of them in memory
//   stopwatch call SOCKET COUNT  connects, reads one ttrpc request frame from standard input, and sends it COUNT times, one
//                                after the other, with a stream id of its own each. Prints the nanoseconds of each from
//                                the first byte out to the last byte in, one a line.

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HEADER_BYTES = 10, MOST_BYTES = 4 << 20 };

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "stopwatch: %s: %s\n", what, strerror(errno));
    exit(125);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// As much as there is, up to the end; the size.
static size_t read_all(int fd, uint8_t *into, size_t most)
{
    size_t size = 0;
    for (;;) {
        ssize_t count = read(fd, into + size, most - size);
        if (count < 0 && errno != EINTR)
            fail("read");
        if (count == 0 || size == most)
            return size;
        if (count > 0)
            size += (size_t)count;
    }
}

static void read_exactly(int fd, uint8_t *into, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = read(fd, into + done, size - done);
        if (count == 0) {
            fprintf(stderr, "stopwatch: the connection was closed\n");
            exit(125);
        }
        if (count < 0 && errno != EINTR)
            fail("read");
        if (count > 0)
            done += (size_t)count;
    }
}

static void write_all(int fd, const uint8_t *from, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(fd, from + done, size - done);
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

// What is started from now on is in this cgroup.
static void join_cgroup(const char *procs)
{
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        fail(procs);
    write_all(fd, (const uint8_t *)"0", 1);
    close(fd);
}

static int evict(char **paths)
{
    for (; *paths; paths++) {
        int fd = open(*paths, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
            fail(*paths);
        errno = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        if (errno)
            fail(*paths);
        close(fd);
    }
    return 0;
}

static int run(char **argv)
{
    static uint8_t output[1 << 16];
    int pipe_fds[2];
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
        fail("prepare");
    int64_t began = now_ns();
    pid_t pid = vfork();
    if (pid < 0)
        fail("vfork");
    if (pid == 0) {
        dup2(null_fd, 0);
        dup2(pipe_fds[1], 1);
        dup2(pipe_fds[1], 2);
        execv(argv[0], argv);
        _exit(127);
    }
    close(pipe_fds[1]);
    size_t size = read_all(pipe_fds[0], output, sizeof output);
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            fail("waitpid");
    }
    int64_t took = now_ns() - began;
    printf("%lld %d\n", (long long)took, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    fwrite(output, 1, size, stdout);
    return 0;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail(path);
    return fd;
}

static int call(const char *path, long count)
{
    uint8_t *frame = malloc(MOST_BYTES), *answer = malloc(MOST_BYTES);
    int64_t *took = malloc((size_t)count * sizeof *took);
    if (!frame || !answer || !took)
        fail("malloc");
    size_t size = read_all(0, frame, MOST_BYTES);
    if (size < HEADER_BYTES || read_be32(frame) + HEADER_BYTES != size) {
        fprintf(stderr, "stopwatch: standard input is no frame\n");
        return 125;
    }
    int fd = connect_to(path);
    for (long i = 0; i < count; i++) {
        uint32_t id = (uint32_t)i * 2 + 1; // a client's ids are odd, and grow
        for (int byte = 0; byte < 4; byte++)
            frame[4 + byte] = (uint8_t)(id >> (24 - 8 * byte));
        int64_t began = now_ns();
        write_all(fd, frame, size);
        read_exactly(fd, answer, HEADER_BYTES);
        uint32_t length = read_be32(answer);
        if (length > MOST_BYTES || read_be32(answer + 4) != id) {
            fprintf(stderr, "stopwatch: the answer is not to this request\n");
            return 125;
        }
        read_exactly(fd, answer, length);
        took[i] = now_ns() - began;
    }
    close(fd);
    for (long i = 0; i < count; i++)
        printf("%lld\n", (long long)took[i]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 5 && strcmp(argv[1], "run") == 0 && strcmp(argv[2], "-g") == 0) {
        join_cgroup(argv[3]);
        return run(argv + 4);
    }
    if (argc >= 3 && strcmp(argv[1], "evict") == 0)
        return evict(argv + 2);
    if (argc >= 3 && strcmp(argv[1], "run") == 0)
        return run(argv + 2);
    if (argc == 4 && strcmp(argv[1], "call") == 0 && atol(argv[3]) > 0)
        return call(argv[2], atol(argv[3]));
    fprintf(stderr, "usage: stopwatch run [-g PROCS] FILE ARGS... | evict FILE... | call SOCKET COUNT <FRAME\n");
    return 125;
}
