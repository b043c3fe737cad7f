// The handler (crash.h). It runs on a stack of its own, trusts nothing but the kept memory and what was made ready when it
// was armed, and does system calls only. The next image unblocks the signal: exec keeps the mask, and a signal that is
// blocked when it strikes again ends the process.
//
// A counter stops loops: after MOST_CRASHES within WITHIN_NS the next image is told to write down what it knows and to
// end; when even that one crashes, the kernel has its way.

#include "crash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "kept.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

enum { STACK_BYTES = 64 << 10, MOST_CRASHES = 5, LIST_BYTES = 4096 };
#define WITHIN_NS (60 * INT64_C(1000000000))

static const int signals[] = {SIGSEGV, SIGABRT, SIGILL, SIGBUS, SIGFPE};
enum { SIGNAL_COUNT = sizeof signals / sizeof signals[0] };
static const char variable[] = "MOOR_KEPT_FD=";

static char stack[STACK_BYTES] __attribute__((aligned(16)));
static pid_t armed_pid;
static int program_fd = -1;
static char **next_argv, **next_environment;
static char next_variable[sizeof variable + 12];
static volatile sig_atomic_t held, waiting_signal, waiting_sender;

static int64_t now_ns(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t instruction_of(const void *context)
{
    const ucontext_t *machine = context;
    if (!machine)
        return 0;
#if defined(__x86_64__)
    return (uint64_t)machine->uc_mcontext.gregs[16]; // REG_RIP
#elif defined(__aarch64__)
    return machine->uc_mcontext.pc;
#else
    return 0;
#endif
}

static void default_action(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
}

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return; // nobody reads it, and there is nobody else to tell
}

// Every fd survives but the one of the program: the next image opens its own.
static void keep_fd(int fd)
{
    if (fd > STDERR_FILENO && fd != program_fd)
        fcntl(fd, F_SETFD, 0);
}

typedef struct Entry {
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[];
} Entry;

static void keep_fds(void)
{
    static uint64_t list[LIST_BYTES / sizeof(uint64_t)];
    int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) { // without procfs, or with no fd left
        for (int fd = 3; fd < 4096; fd++)
            keep_fd(fd);
        return;
    }
    long got;
    while ((got = syscall(SYS_getdents64, folder, list, sizeof list)) > 0) {
        for (long at = 0; at < got;) {
            const Entry *entry = (const Entry *)(const void *)((const char *)list + at);
            int fd = 0;
            for (const char *digit = entry->name; *digit >= '0' && *digit <= '9'; digit++)
                fd = fd * 10 + (*digit - '0');
            if (fd != folder)
                keep_fd(fd);
            at += entry->size;
        }
    }
    close(folder);
}

static bool too_many(const MoorKeptHead *head, int64_t now)
{
    if (head->crash_count < MOST_CRASHES)
        return false;
    const MoorCrash *oldest = &head->crashes[(head->crash_count - MOST_CRASHES) % MOOR_CRASHES_KEPT];
    return now - oldest->monotonic_ns < WITHIN_NS;
}

// Comes back only when there is no way to go on.
static void execute_anew(MoorCrash crash)
{
    MoorKeptHead *head = moor_kept_head();
    if (!head || getpid() != armed_pid)
        return;
    crash.at_ns = now_ns(CLOCK_REALTIME);
    crash.monotonic_ns = now_ns(CLOCK_MONOTONIC);
    if (head->last_words) {
        say("moor: crashed once more while writing down what was known\n");
        return;
    }
    head->last_words = too_many(head, crash.monotonic_ns);
    head->crashes[head->crash_count % MOOR_CRASHES_KEPT] = crash;
    head->crash_count++;
    keep_fds();
    syscall(SYS_execveat, program_fd, "", next_argv, next_environment, AT_EMPTY_PATH);
    say("moor: crashed, and the program cannot be executed anew\n");
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    bool is_sent = info->si_code <= 0;
    // Our own abort() would not wait: it ends the process when its handler returns.
    if (is_sent && held && info->si_pid != armed_pid) {
        waiting_sender = info->si_pid;
        waiting_signal = number;
        return;
    }
    execute_anew((MoorCrash){
        .signal = number,
        .code = info->si_code,
        .address = is_sent ? 0 : (uint64_t)(uintptr_t)info->si_addr,
        .instruction = instruction_of(context),
        .sender = is_sent ? info->si_pid : 0,
    });
    default_action(number);
    kill(getpid(), number); // as soon as we return, or when the fault is met again
}

void moor_crash_hold(void)
{
    held++;
}

void moor_crash_release(void)
{
    if (--held || !waiting_signal)
        return;
    int number = waiting_signal;
    waiting_signal = 0;
    execute_anew((MoorCrash){.signal = number, .sender = waiting_sender});
    default_action(number);
    kill(getpid(), number);
}

void moor_crash_out_of_memory(void)
{
    execute_anew((MoorCrash){.signal = 0});
}

int moor_crash_resumed_fd(char **environment)
{
    int fd = -1;
    char **to = environment;
    for (char **from = environment; *from; from++) {
        if (strncmp(*from, variable, sizeof variable - 1) == 0)
            fd = atoi(*from + sizeof variable - 1);
        else
            *to++ = *from;
    }
    *to = NULL;
    return fd;
}

// The environment with one variable more. It is the process's own, which nothing changes once it runs.
static int make_environment(char **environment)
{
    size_t count = 0;
    while (environment[count])
        count++;
    next_environment = calloc(count + 2, sizeof *next_environment);
    if (!next_environment)
        return -ENOMEM;
    snprintf(next_variable, sizeof next_variable, "%s%d", variable, moor_kept_fd());
    next_environment[0] = next_variable;
    memcpy(next_environment + 1, environment, count * sizeof *environment);
    return 0;
}

int moor_crash_arm(char **argv, char **environment)
{
    if (!moor_kept_on())
        return -EINVAL;
    int status = make_environment(environment);
    if (status < 0)
        return status;
    next_argv = argv;
    armed_pid = getpid();
    program_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (program_fd < 0)
        return -errno;
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    if (sigaltstack(&alternate, NULL) < 0)
        return -errno;
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigset_t ours;
    sigemptyset(&ours);
    for (int i = 0; i < SIGNAL_COUNT; i++)
        sigaddset(&ours, signals[i]);
    action.sa_mask = ours;
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        if (sigaction(signals[i], &action, NULL) < 0)
            return -errno;
    }
    return sigprocmask(SIG_UNBLOCK, &ours, NULL) < 0 ? -errno : 0;
}
