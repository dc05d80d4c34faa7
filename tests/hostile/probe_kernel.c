// SPDX-License-Identifier: Apache-2.0
// Hostile checks of system calls that take more than one step.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void enter(const char *path, struct result *result)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return result_absent(result, fd);
    result_refused(result, syscall(SYS_setns, fd, 0));
}

static void enter_init_mounts(const struct world *world, struct result *result)
{
    enter("/proc/1/ns/mnt", result);
}

static void enter_init_user(const struct world *world, struct result *result)
{
    enter("/proc/1/ns/user", result);
}

static void enter_own_network(const struct world *world, struct result *result)
{
    enter("/proc/self/ns/net", result);
}

static void enter_by_pidfd(const struct world *world, struct result *result)
{
    int pidfd = (int)syscall(SYS_pidfd_open, 1, 0);
    if (pidfd < 0)
        return result_refused(result, pidfd);
    result_refused(result, syscall(SYS_setns, pidfd, CLONE_NEWNS | CLONE_NEWNET));
}

static void time_offsets(const struct world *world, struct result *result)
{
    int fd = open("/proc/self/timens_offsets", O_WRONLY);
    if (fd < 0)
        return result_absent(result, fd);
    result_refused(result, write(fd, "monotonic 1 0", 13));
}

static void namespace_limit(const struct world *world, struct result *result)
{
    char text[32];
    if (read_text("/proc/sys/user/max_user_namespaces", text, sizeof(text)) < 0)
        return result_skip(result, "max_user_namespaces: %s", strerror(errno));
    if (atoi(text) == 0)
        return result_ok(result, "max_user_namespaces is 0");
    result_open(result, "max_user_namespaces is %.20s", text);
}

// For each mount that is read-only: make it writable.
static void remount(const struct world *world, struct result *result)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char line[4096], path[2048], options[512];
    int tried = 0;
    while (mounts && fgets(line, sizeof(line), mounts)) {
        if (sscanf(line, "%*s %*s %*s %*s %2047s %511s", path, options) != 2 ||
            strncmp(options, "ro", 2) != 0)
            continue;
        tried++;
        result_refused(result, mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL));
        if (result->verdict == OPEN)
            return result_open(result, "%.100s can be remounted", path);
    }
    if (!tried)
        result_skip(result, "nothing is read-only");
}

static void write_system(const struct world *world, struct result *result)
{
    static const char *const paths[] = {"/usr/hostile",  "/etc/hostile", "/bin/hostile", "/hostile",
                                        "/proc/hostile", "/sys/hostile", "/root/hostile"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = open(paths[i], O_CREAT | O_WRONLY, 0600);
        if (fd < 0)
            continue;
        unlink(paths[i]);
        // Where one id is all there is, the writable layer is that user's. The driver looks whether
        // anything has come out of it.
        struct stat root;
        if (!world->root && !stat("/usr", &root) && root.st_uid != geteuid())
            return result_open(result, "%s could be made", paths[i]);
        return result_ok(result, "in a layer of our own");
    }
    result_ok(result, "%s", strerrorname_np(errno));
}

#ifdef __x86_64__
// The calls of 32-bit programs have other numbers: getpid, unshare, mount, clone.
static long call32(int number, int first)
{
    long returned;
    __asm__ volatile("int $0x80"
                     : "=a"(returned)
                     : "a"(number), "b"(first), "c"(0), "d"(0)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)returned;
}

static void old_calls(const struct world *world, struct result *result, int number, int first)
{
    long returned = call32(number, first);
    errno = returned < 0 ? (int)-returned : 0;
    result_refused(result, returned < 0 ? -1 : 0);
}

static void getpid32(const struct world *world, struct result *result)
{
    old_calls(world, result, 20, 0);
}

static void unshare32(const struct world *world, struct result *result)
{
    old_calls(world, result, 310, CLONE_NEWUSER);
}

static void mount32(const struct world *world, struct result *result)
{
    old_calls(world, result, 21, 0);
}
#endif

// ---- terminals

static void push_input(const char *path, struct result *result)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return result_absent(result, fd);
    result_refused(result, ioctl(fd, TIOCSTI, "\n"));
}

static void push_tty(const struct world *world, struct result *result)
{
    push_input("/dev/tty", result);
}

static void terminal_is_real(const struct world *world, struct result *result)
{
    if (!world->terminal)
        return result_skip(result, "not a terminal session");
    if (!isatty(0))
        return result_open(result,
                           "standard input is no terminal: the checks of row 30 were empty");
    char path[64] = "";
    if (ttyname_r(0, path, sizeof(path)))
        snprintf(path, sizeof(path), "without a name");
    result_ok(result, "%s", path);
}

// ---- what must work in spite of it all

static void *thread_main(void *argument)
{
    *(int *)argument = 1;
    return NULL;
}

static void threads_work(const struct world *world, struct result *result)
{
    pthread_t thread;
    int ran = 0;
    int error = pthread_create(&thread, NULL, thread_main, &ran);
    if (error)
        return result_open(result, "pthread_create: %s", strerror(error));
    pthread_join(thread, NULL);
    result_ok(result, "a thread ran: %d", ran);
}

static void spawn_works(const struct world *world, struct result *result)
{
    pid_t child;
    char name[] = "probe", option[] = "--rights";
    char *arguments[] = {name, option, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    int error = posix_spawn(&child, "/proc/self/exe", &actions, NULL, arguments, arguments + 2);
    int status = -1;
    if (!error)
        waitpid(child, &status, 0);
    if (error || status)
        return result_open(result, "posix_spawn: error %d, status 0x%x", error, status);
    result_ok(result, "a child ran");
}

// A debugger's way with its own child.
static void debugging_works(const struct world *world, struct result *result)
{
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(42);
    }
    int status = 0;
    waitpid(child, &status, 0);
    bool stopped = WIFSTOPPED(status);
    ptrace(PTRACE_CONT, child, 0, 0);
    waitpid(child, &status, 0);
    if (stopped && WIFEXITED(status) && WEXITSTATUS(status) == 42)
        return result_ok(result, "its own child can be traced");
    result_open(result, "its own child can't be traced");
}

const struct probe kernel_probes[] = {
    {"11", "remount writable", remount},
    {"11", "write to the system", write_system},
    {"13", "limit of user namespaces", namespace_limit},
    {"14", "threads work", threads_work},
    {"14", "posix_spawn works", spawn_works},
    {"14", "tracing one's child works", debugging_works},
    {"15", "enter the mounts of process 1", enter_init_mounts},
    {"15", "enter the user namespace of process 1", enter_init_user},
    {"15", "enter our own network", enter_own_network},
    {"15", "enter by pidfd", enter_by_pidfd},
    {"16", "time offsets", time_offsets},
#ifdef __x86_64__
    {"26", "getpid of 32-bit programs", getpid32},
    {"26", "unshare of 32-bit programs", unshare32},
    {"26", "mount of 32-bit programs", mount32},
#endif
    {"30", "terminal session", terminal_is_real},
    {"30", "TIOCSTI on /dev/tty", push_tty},
    {0},
};
