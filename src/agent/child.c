// SPDX-License-Identifier: Apache-2.0
/*
 * Starting a program as fast as vfork(2), but without its danger: a vfork parent sleeps until the
 * child execs, and a process of the same user inside could stop the child just before. So the child
 * shares the memory without CLONE_VFORK, and the kernel's CLONE_CHILD_CLEARTID wakes us when it
 * leaves it, or its end where nobody waits for its start. Until then the child may only make system
 * calls: it shares the heap and errno with the agent, which waits. Layer: agent.
 */
#include "agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/tree.h"
#include "base/cleanup.h"

#define STACK_SIZE 16384
#define PROGRAM_PATH_MAX 4096
#define WAIT_STEP_MS 20
#define WAIT_STEPS                                                                                 \
    250 // of WAIT_STEP_MS, before the child is killed, and again until it is given up

// What the child runs on. The word is at the stack's end to share a page with it.
struct child_memory {
    char stack[STACK_SIZE] __attribute__((aligned(16)));
    int alive; // cleared by the kernel when the child has left this memory
};

static int fail(struct start *start, enum start_step step)
{
    start->sys_errno = errno;
    start->step = step;
    return -1;
}

static int set_session(struct start *start)
{
    if (setsid() < 0)
        return fail(start, START_SESSION);
    if (start->terminal && ioctl(start->fds[0], TIOCSCTTY, 0) < 0)
        return fail(start, START_TERMINAL);
    return 0;
}

static int set_fds(struct start *start)
{
    for (int i = 0; i < 3; i++)
        if (dup2(i == 2 && start->merge ? 1 : start->fds[i], i) < 0)
            return fail(start, START_FDS);
    // Before Linux 5.9 this fails: then close-on-exec, which all of ours are, does it alone.
    syscall(SYS_close_range, 3, ~0U, 0);
    return 0;
}

static int set_rights(struct start *start)
{
    tree_tag_self(start->tag, start->config->tag_max);
    start->rights_step = rights_become(start->config, start->user);
    return start->rights_step == RIGHTS_OK ? 0 : fail(start, START_RIGHTS);
}

static int set_cwd(struct start *start)
{
    static char root_pwd[] = "PWD=/";
    if (chdir(start->cwd) == 0)
        return 0;
    if (!start->cwd_may_fail || chdir("/") < 0)
        return fail(start, START_CWD);
    if (start->env_pwd)
        *start->env_pwd = root_pwd;
    return 0;
}

// One candidate of the search: directory (empty: the current one) and name.
static void exec_in(const struct start *start, const char *dir, size_t length)
{
    char path[PROGRAM_PATH_MAX];
    size_t name = strlen(start->argv[0]);
    if (length + name + 2 > sizeof(path)) {
        errno = ENAMETOOLONG;
        return;
    }
    memcpy(path, dir, length);
    if (length)
        path[length++] = '/';
    memcpy(path + length, start->argv[0], name + 1);
    execve(path, start->argv, start->env);
}

// As execvp(3) of the command's PATH, but a file without a known format is an error.
static void exec_search(const struct start *start)
{
    bool denied = false;
    for (const char *at = start->path;; at++) {
        size_t length = strcspn(at, ":");
        exec_in(start, at, length);
        if (errno == EACCES)
            denied = true;
        else if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
            return;
        at += length;
        if (!*at)
            break;
    }
    errno = denied ? EACCES : ENOENT;
}

static int exec_program(struct start *start)
{
    const char *name = start->argv[0];
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (strchr(name, '/'))
        execve(name, start->argv, start->env);
    else if (name[0])
        exec_search(start);
    else
        errno = ENOENT;
    return fail(start, START_EXEC);
}

static int child_main(void *payload)
{
    struct start *start = payload;
    if (set_session(start) == 0 && set_fds(start) == 0 && set_rights(start) == 0 &&
        set_cwd(start) == 0)
        exec_program(start);
    _exit(127);
}

static bool still_alive(struct child_memory *memory)
{
    return __atomic_load_n(&memory->alive, __ATOMIC_ACQUIRE);
}

// A system call that leaves errno alone: the child is using the same one. Where we have no
// assembler for it, a child that is slower than the wait may, very rarely, report a wrong errno.
static void wait_quietly(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__) && !defined(__ILP32__)
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = 0;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
#else
    syscall(number, a, b, c, d, 0);
#endif
}

// The kernel wakes with a non-private futex, so FUTEX_PRIVATE_FLAG would sleep past it.
static void wait_step(struct child_memory *memory)
{
    struct timespec timeout = {.tv_nsec = WAIT_STEP_MS * 1000000L};
    wait_quietly(SYS_futex, (long)&memory->alive, FUTEX_WAIT, 1, (long)&timeout);
}

// Sleeps past the exec, until the loop has something to do: most often that is the end of this very
// child. The event stays for the loop to find, as it tells a state, not a change.
static void wait_event(const struct start *start)
{
    struct epoll_event event;
    wait_quietly(SYS_epoll_pwait, start->await_fd, (long)&event, 1, start->await_ms);
}

/*
 * True once the child has left our memory. A stopped one is continued again and again, and killed
 * at last: whoever stops it must not stop the agent.
 */
static bool wait_gone(struct child_memory *memory, pid_t pid, int sent)
{
    for (int i = 0; still_alive(memory) && i < WAIT_STEPS; i++) {
        if (i > 0)
            kill(pid, sent);
        wait_step(memory);
    }
    return !still_alive(memory);
}

static void reap(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
        ;
}

// 0 when the program runs.
static int finish(struct start *start, pid_t pid)
{
    struct child_memory *memory = *start->memory;
    if (!wait_gone(memory, pid, SIGCONT)) {
        kill(pid, SIGKILL);
        start->step = START_STUCK;
        start->sys_errno = ETIMEDOUT;
        // In an uninterruptible sleep it may write to `alive` much later: that memory is given up.
        if (!wait_gone(memory, pid, SIGKILL)) {
            *start->memory = NULL;
            return -1;
        }
    }
    if (start->step == START_OK)
        return 0;
    reap(pid);
    return -1;
}

int child_start(struct start *start, pid_t *ret_pid)
{
    start->step = START_OK;
    if (!*start->memory && !(*start->memory = malloc(sizeof(struct child_memory))))
        return fail(start, START_CLONE);
    struct child_memory *memory = *start->memory;
    memory->alive = 1;
    pid_t pid = clone(child_main, memory->stack + STACK_SIZE,
                      CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, start, NULL, NULL, &memory->alive);
    if (pid < 0)
        return fail(start, START_CLONE);
    if (start->await_ms > 0)
        wait_event(start);
    if (finish(start, pid) < 0)
        return -1;
    *ret_pid = pid;
    return 0;
}
