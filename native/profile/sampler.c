// The engine with a sampler in it, for `make -C native shim-profile`: while the shim works, what it is doing is noted many
// thousand times a second, as the stack of JavaScript functions and the place in the program itself. It is made of the
// engine's own source, as the stack is nobody else's to read. At the end of the process the stacks are written to
// $MOOR_PROFILE/PID.stacks, one a line, outermost first: functions separated by ";", then "@" and the address in hex.
// bench/profile.ts runs it and draws the flame graphs.

#define JS_NewRuntime2 real_new_runtime
#include "quickjs.c"
#undef JS_NewRuntime2

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>
#include <unistd.h>

enum { INTERVAL_NS = 40 * 1000, MOST_FRAMES = 24, MOST_SAMPLES = 200 * 1000, IDLE_NS = 20 * 1000 };

typedef struct Sample {
    uintptr_t address;
    const JSFunctionBytecode *frames[MOST_FRAMES]; // innermost first; NULL ends; CALLED_C is a function in C
} Sample;

static const JSFunctionBytecode called_c;
static JSRuntime *the_runtime;
static Sample *samples;
static size_t sample_count;
static bool has_begun;
static int64_t last_cpu_ns;
static const char *folder;

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void take_sample(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    int64_t now = cpu_ns();
    bool was_idle = now - last_cpu_ns < IDLE_NS;
    last_cpu_ns = now;
    bool is_in_javascript = the_runtime && the_runtime->current_stack_frame;
    has_begun |= is_in_javascript;
    // Once the engine is up, what is outside of JavaScript is the event loop, and that mostly waits.
    if (was_idle || (has_begun && !is_in_javascript) || sample_count == MOST_SAMPLES)
        return;
    Sample *sample = &samples[sample_count++];
    sample->address = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    int depth = 0;
    const JSStackFrame *frame = the_runtime ? the_runtime->current_stack_frame : NULL;
    for (; frame && depth < MOST_FRAMES; frame = frame->prev_frame) {
        if (JS_VALUE_GET_TAG(frame->cur_func) != JS_TAG_OBJECT)
            continue;
        const JSObject *function = JS_VALUE_GET_OBJ(frame->cur_func);
        bool is_bytecode = js_class_has_bytecode(function->class_id);
        sample->frames[depth++] = is_bytecode ? function->u.func.function_bytecode : &called_c;
    }
    if (depth < MOST_FRAMES)
        sample->frames[depth] = NULL;
}

static void begin(void)
{
    sample_count = 0;
    last_cpu_ns = cpu_ns();
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF};
    struct itimerspec every = {.it_interval.tv_nsec = INTERVAL_NS, .it_value.tv_nsec = INTERVAL_NS};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
        timer_settime(timer, 0, &every, NULL);
}

static __attribute__((constructor)) void set_up(void)
{
    folder = getenv("MOOR_PROFILE");
    samples = folder ? calloc(MOST_SAMPLES, sizeof *samples) : NULL;
    if (!samples)
        return;
    struct sigaction action = {.sa_sigaction = take_sample, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGPROF, &action, NULL);
    pthread_atfork(NULL, NULL, begin); // a timer is not inherited
    begin();
}

static void write_name(FILE *file, const JSFunctionBytecode *code)
{
    char name[ATOM_GET_STR_BUF_SIZE];
    if (code == &called_c) {
        fputs("[C]", file);
        return;
    }
    const char *text = JS_AtomGetStrRT(the_runtime, name, sizeof name, code->func_name);
    // A private method has no name of its own.
    fputs(*text && strcmp(text, "<null>") != 0 ? text : "", file);
    if (code->has_debug) {
        int column;
        int line = find_line_num(NULL, (JSFunctionBytecode *)code, -1, &column);
        fprintf(file, " (%s:%d)", JS_AtomGetStrRT(the_runtime, name, sizeof name, code->debug.filename), line);
    }
}

static void write_out(void)
{
    if (!samples || !the_runtime)
        return;
    signal(SIGPROF, SIG_IGN);
    char path[512];
    snprintf(path, sizeof path, "%s/%d.stacks", folder, (int)getpid());
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    for (size_t i = 0; i < sample_count; i++) {
        int depth = 0;
        while (depth < MOST_FRAMES && samples[i].frames[depth])
            depth++;
        while (depth-- > 0) {
            write_name(file, samples[i].frames[depth]);
            fputc(';', file);
        }
        fprintf(file, "@%lx\n", (unsigned long)samples[i].address);
    }
    fclose(file);
    samples = NULL;
}

// A function that is gone is written as what its memory holds now; the shim's own are never gone.
void __wrap__exit(int status)
{
    write_out();
    __real__exit(status);
}

JSRuntime *JS_NewRuntime2(const JSMallocFunctions *functions, void *opaque)
{
    the_runtime = real_new_runtime(functions, opaque);
    return the_runtime;
}
