// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a command and all its descendants under ptrace(2), and at one chosen system call of one
 * chosen process kills that process or lets the call fail. Processes are named by their way from
 * the first one: "0" is the command itself, "0.2" the second process that it made, and so on, so
 * that nothing of the design has to be known here.
 *
 *   tamper list REPORT COMMAND...               what there is: WAY CALLS NAME a line
 *   tamper kill REPORT WAY N COMMAND...         SIGKILL at the N-th call of WAY
 *   tamper fail REPORT WAY N ERRNO COMMAND...   the N-th call of WAY returns -ERRNO, undone (but
 *                                               close(2), which fails with the descriptor closed)
 *
 * Ends when every process has ended; exit status is the command's, 128 + signal, or 99 when
 * something still ran after TIMEOUT seconds (then it is killed and named in the report as STUCK).
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT 30
#define GRACE 1
#define TASKS_MAX 4096
#define FAULTS_MAX 100
#define OPTIONS                                                                                    \
    (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |         \
     PTRACE_O_TRACESYSGOOD)

struct task {
    pid_t pid;
    char way[64];
    char name[32];
    unsigned calls, children, faults;
    bool alive, fresh; // fresh: its first SIGSTOP is ptrace's own
    bool failing;      // its present call is the one to fail
};

struct tamper {
    const char *mode, *way;
    unsigned number;
    int error;
    bool done;
    long call;     // number of the system call that was hit
    char name[32]; // and the program that made it
    FILE *report;
    struct task tasks[TASKS_MAX];
    size_t count;
    int status; // of the command
    bool ended;
};

static void die(const char *what)
{
    perror(what);
    exit(98);
}

static struct task *find(struct tamper *t, pid_t pid)
{
    for (size_t i = t->count; i-- > 0;)
        if (t->tasks[i].alive && t->tasks[i].pid == pid)
            return &t->tasks[i];
    return NULL;
}

static struct task *add(struct tamper *t, pid_t pid)
{
    if (t->count == TASKS_MAX)
        die("too many processes");
    struct task *task = &t->tasks[t->count++];
    *task = (struct task){.pid = pid, .alive = true, .fresh = true};
    return task;
}

static void read_name(struct task *task)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/comm", task->pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (fgets(task->name, sizeof(task->name), file))
        task->name[strcspn(task->name, "\n")] = '\0';
    fclose(file);
}

// A new process may stop, and even end, before its maker's event tells whose it is.
static struct task *find_nameless(struct tamper *t, pid_t pid)
{
    for (size_t i = t->count; i-- > 0;)
        if (!t->tasks[i].way[0] && t->tasks[i].pid == pid)
            return &t->tasks[i];
    return NULL;
}

static void adopt(struct tamper *t, struct task *maker)
{
    unsigned long pid;
    if (ptrace(PTRACE_GETEVENTMSG, maker->pid, 0, &pid) < 0)
        return;
    char way[sizeof(maker->way) + 16];
    snprintf(way, sizeof(way), "%s.%u", maker->way, ++maker->children);
    struct task *task = find_nameless(t, (pid_t)pid);
    if (!task)
        task = add(t, (pid_t)pid);
    snprintf(task->way, sizeof(task->way), "%.63s", way);
    read_name(task);
}

static bool chosen(const struct tamper *t, const struct task *task)
{
    return !t->done && t->way && task->calls == t->number && strcmp(task->way, t->way) == 0;
}

#ifdef __x86_64__
/*
 * The dynamic loader's calls are no program's yet: without memory it dies as it likes. They are
 * reported under its own name.
 */
static void name_caller(struct tamper *t, const struct task *task, unsigned long long at)
{
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/%d/maps", task->pid);
    snprintf(t->name, sizeof(t->name), "%s", task->name);
    FILE *maps = fopen(path, "re");
    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long long begin, end;
        if (sscanf(line, "%llx-%llx", &begin, &end) == 2 && at >= begin && at < end &&
            strstr(line, "/ld-"))
            snprintf(t->name, sizeof(t->name), "ld.so");
    }
    if (maps)
        fclose(maps);
}

// "This call is always successful", getuid(2), getpid(2), umask(2), alarm(2), ...: no program
// looks. _exit(2) and sigreturn(2) do not return: what comes after them is no program's.
static bool never_fails(unsigned long long number)
{
    static const int calls[] = {SYS_getpid,  SYS_getppid,         SYS_gettid,      SYS_getuid,
                                SYS_geteuid, SYS_getgid,          SYS_getegid,     SYS_getpgrp,
                                SYS_umask,   SYS_set_tid_address, SYS_sched_yield, SYS_alarm,
                                SYS_exit,    SYS_exit_group,      SYS_rt_sigreturn};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (number == (unsigned long long)calls[i])
            return true;
    return false;
}

// Replaces the call by one that does not exist; its result is set when it returns. brk(2) tells its
// failure by no error but by a break that is not the wanted one: C libraries know no other.
// close(2) is done: "Linux always releases the file descriptor", whatever error it returns.
static void fail_call(struct tamper *t, struct task *task)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, task->pid, 0, &registers) < 0)
        return;
    if (registers.orig_rax == SYS_brk)
        t->error = 0;
    task->failing = true;
    if (registers.orig_rax == SYS_close)
        return;
    registers.orig_rax = (unsigned long long)-1;
    ptrace(PTRACE_SETREGS, task->pid, 0, &registers);
}

static void set_result(struct task *task, int error)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, task->pid, 0, &registers) < 0)
        return;
    registers.rax = (unsigned long long)-error;
    ptrace(PTRACE_SETREGS, task->pid, 0, &registers);
    task->failing = false;
}
#else
#error "only written for x86-64"
#endif

static void at_call(struct tamper *t, struct task *task)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, task->pid, sizeof(info), &info) < 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT && task->failing)
        set_result(task, t->error);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    task->calls++;
    if (!chosen(t, task))
        return;
    if (strcmp(t->mode, "fail") == 0 && never_fails(info.entry.nr))
        return;
    t->done = true;
    t->call = (long)info.entry.nr;
    read_name(task);
    name_caller(t, task, info.instruction_pointer);
    if (strcmp(t->mode, "kill") == 0)
        kill(task->pid, SIGKILL);
    else
        fail_call(t, task);
}

static void ended(struct tamper *t, struct task *task, int status)
{
    task->alive = false;
    if (strcmp(task->way, "0") != 0)
        return;
    t->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    t->ended = true;
    if (getenv("TAMPER_DETACHED"))
        alarm(GRACE);
}

// One report of waitpid(2): ptrace(2) tells what the stops mean.
static void handle(struct tamper *t, pid_t pid, int status)
{
    struct task *task = find(t, pid);
    int signal = 0;
    if (!task)
        task = add(t, pid);
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
        ended(t, task, status);
        return;
    }
    int stop = WSTOPSIG(status), event = status >> 16;
    if (stop == (SIGTRAP | 0x80))
        at_call(t, task);
    else if (event == PTRACE_EVENT_EXEC)
        read_name(task);
    else if (event != 0)
        adopt(t, task);
    else if (stop == SIGSTOP && task->fresh)
        task->fresh = false;
    else
        signal = stop;
    // Process 1 of a namespace is killed by its own fault, but not while it is traced: signal.c of
    // the kernel, force_sig_info_to_task(). It would fault for ever.
    if (signal == SIGSEGV && ++task->faults > FAULTS_MAX)
        kill(pid, SIGKILL);
    ptrace(PTRACE_SYSCALL, pid, 0, signal);
}

static void start(struct tamper *t, char **argv)
{
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[0], argv);
        _exit(127);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        die("start");
    if (ptrace(PTRACE_SETOPTIONS, pid, 0, OPTIONS) < 0)
        die("PTRACE_SETOPTIONS");
    struct task *task = add(t, pid);
    task->fresh = false;
    snprintf(task->way, sizeof(task->way), "0");
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
}

static volatile sig_atomic_t timed_out;

static void on_alarm(int signal)
{
    (void)signal;
    timed_out = 1;
    alarm(1); // it may have come just before a wait
}

static void watch(struct tamper *t)
{
    while (!timed_out) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid > 0)
            handle(t, pid, status);
        else if (errno == ECHILD)
            return;
    }
}

static int report(struct tamper *t)
{
    int result = t->status;
    for (size_t i = 0; i < t->count; i++) {
        struct task *task = &t->tasks[i];
        bool let_go = t->ended && getenv("TAMPER_DETACHED");
        if (task->alive && !let_go) {
            fprintf(t->report, "STUCK %s %s\n", task->way, task->name);
            kill(task->pid, SIGKILL);
            result = 99;
        }
        if (strcmp(t->mode, "list") == 0)
            fprintf(t->report, "%s %u %s\n", task->way, task->calls, task->name);
    }
    if (t->done)
        fprintf(t->report, "HIT %ld %s\n", t->call, t->name);
    fclose(t->report);
    return result;
}

static int usage(void)
{
    fprintf(stderr, "usage: tamper list REPORT COMMAND... | kill REPORT WAY N COMMAND... | "
                    "fail REPORT WAY N ERRNO COMMAND...\n");
    return 98;
}

int main(int argc, char **argv)
{
    static struct tamper t;
    int fixed = argc < 3                       ? 0
                : strcmp(argv[1], "list") == 0 ? 3
                : strcmp(argv[1], "kill") == 0 ? 5
                : strcmp(argv[1], "fail") == 0 ? 6
                                               : 0;
    if (fixed == 0 || argc <= fixed)
        return usage();
    t.mode = argv[1];
    t.report = fopen(argv[2], "we");
    t.way = fixed > 3 ? argv[3] : NULL;
    t.number = fixed > 3 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    t.error = fixed > 5 ? (int)strtol(argv[5], NULL, 10) : 0;
    if (!t.report)
        die(argv[2]);
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    alarm(TIMEOUT);
    start(&t, argv + fixed);
    watch(&t);
    return report(&t);
}
