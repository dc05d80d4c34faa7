// SPDX-License-Identifier: Apache-2.0
// Hostile checks: other processes, limits, shared memory; and the bombs.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024UL * 1024)

// ---- signals to the host

static void no_such_process(struct result *result, long returned)
{
    if (returned < 0 && errno == ESRCH)
        return result_ok(result, "ESRCH");
    result_refused(result, returned);
}

static bool has_victim(const struct world *world, struct result *result)
{
    if (!world->victim)
        result_skip(result, "no process of the host was named");
    return world->victim;
}

static void signal_victim(const struct world *world, struct result *result)
{
    if (has_victim(world, result))
        no_such_process(result, kill(world->victim, SIGTERM));
}

static void signal_thread(const struct world *world, struct result *result)
{
    if (has_victim(world, result))
        no_such_process(result, syscall(SYS_tgkill, world->victim, world->victim, SIGTERM));
}

static void queue_signal(const struct world *world, struct result *result)
{
    siginfo_t info = {.si_code = SI_QUEUE};
    if (has_victim(world, result))
        no_such_process(result, syscall(SYS_rt_sigqueueinfo, world->victim, SIGTERM, &info));
}

static void open_victim(const struct world *world, struct result *result)
{
    if (has_victim(world, result))
        no_such_process(result, syscall(SYS_pidfd_open, world->victim, 0));
}

// The kernel accepts any number here and looks it up in our namespace, now and later.
static void own_signals(const struct world *world, struct result *result)
{
    int pair[2];
    if (!has_victim(world, result))
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return result_skip(result, "socketpair: %s", strerror(errno));
    long returned = fcntl(pair[0], F_SETOWN, world->victim);
    if (returned < 0)
        return no_such_process(result, returned);
    fcntl(pair[0], F_SETFL, O_ASYNC);
    fcntl(pair[0], F_SETSIG, SIGTERM);
    if (write(pair[1], "x", 1) != 1)
        return result_skip(result, "write: %s", strerror(errno));
    result_ok(result, "accepted; the driver looks after the victim");
}

// ---- limits and priorities

static void raise_limits(const struct world *world, struct result *result)
{
    static const struct {
        int resource;
        const char *name;
    } limits[] = {{RLIMIT_NOFILE, "NOFILE"}, {RLIMIT_MEMLOCK, "MEMLOCK"},   {RLIMIT_CORE, "CORE"},
                  {RLIMIT_RTPRIO, "RTPRIO"}, {RLIMIT_MSGQUEUE, "MSGQUEUE"}, {RLIMIT_NICE, "NICE"}};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct rlimit now;
        getrlimit(limits[i].resource, &now);
        if (now.rlim_max == RLIM_INFINITY)
            return result_open(result, "%s is not limited", limits[i].name);
        now.rlim_max += 1;
        if (!setrlimit(limits[i].resource, &now))
            return result_open(result, "%s can be raised", limits[i].name);
    }
    result_refused(result, -1);
}

// Of process 1, which could lose all its descriptors; here to what they are.
static void limit_init(const struct world *world, struct result *result)
{
    struct rlimit now;
    getrlimit(RLIMIT_NOFILE, &now);
    result_refused(result, prlimit(1, RLIMIT_NOFILE, &now, NULL));
}

static void own_priority(const struct world *world, struct result *result)
{
    int nice = getpriority(PRIO_PROCESS, 0);
    if (nice < 0)
        return result_open(result, "we run at nice %d", nice);
    result_ok(result, "nice %d", nice);
}

static void lower_nice(const struct world *world, struct result *result)
{
    result_refused(result, setpriority(PRIO_PROCESS, 0, -5));
}

static void real_time(const struct world *world, struct result *result)
{
    struct sched_param param = {.sched_priority = 1};
    result_refused(result, sched_setscheduler(0, SCHED_FIFO, &param));
}

static void deadline_scheduling(const struct world *world, struct result *result)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {48, 6, 0, 0, 0, 1000000, 10000000, 10000000};
    result_refused(result, syscall(SYS_sched_setattr, 0, &attr, 0));
}

static void real_time_io(const struct world *world, struct result *result)
{
    result_refused(result, syscall(SYS_ioprio_set, 1, 0, 1 << 13));
}

static void lock_memory(const struct world *world, struct result *result)
{
    void *memory = mmap(NULL, 64 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long returned = mlock(memory, 64 * MIB);
    if (returned < 0 && errno == ENOMEM)
        return result_ok(result, "ENOMEM");
    result_refused(result, returned);
}

static void escape_oom(const struct world *world, struct result *result)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    if (fd < 0)
        return result_absent(result, fd);
    result_refused(result, write(fd, "-1000", 5));
}

// ---- shared memory

static void host_memory(const struct world *world, struct result *result)
{
    if (!world->ipc_key)
        return result_skip(result, "no key of the host was named");
    long returned = shmget(world->ipc_key, 0, 0);
    if (returned < 0 && errno == ENOENT)
        return result_ok(result, "ENOENT");
    result_refused(result, returned);
}

static void host_posix_memory(const struct world *world, struct result *result)
{
    if (!world->shm || !world->shm[0])
        return result_skip(result, "no name of the host was given");
    char path[512];
    snprintf(path, sizeof(path), "/dev/shm/%s", world->shm);
    result_absent(result, open(path, O_RDONLY));
}

static void listed_memory(const struct world *world, struct result *result)
{
    static const char *const lists[] = {"/proc/sysvipc/shm", "/proc/sysvipc/sem",
                                        "/proc/sysvipc/msg"};
    result_ok(result, "none");
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char text[4096];
        if (read_text(lists[i], text, sizeof(text)) <= 0)
            continue;
        const char *second = strchr(text, '\n');
        if (second && second[1])
            return result_open(result, "%s lists what isn't ours", lists[i]);
    }
}

const struct probe process_probes[] = {
    {"53", "kill a process of the host", signal_victim},
    {"53", "tgkill a process of the host", signal_thread},
    {"53", "queue a signal to the host", queue_signal},
    {"53", "open a process of the host", open_victim},
    {"53", "SIGIO to the host", own_signals},
    {"54", "raise limits", raise_limits},
    {"54", "limit process 1", limit_init},
    {"54", "own priority", own_priority},
    {"54", "negative nice", lower_nice},
    {"54", "SCHED_FIFO", real_time},
    {"54", "SCHED_DEADLINE", deadline_scheduling},
    {"54", "real-time I/O", real_time_io},
    {"54", "lock 64 MiB", lock_memory},
    {"54", "escape the OOM killer", escape_oom},
    {"56", "System V memory of the host", host_memory},
    {"56", "POSIX memory of the host", host_posix_memory},
    {"56", "listed IPC objects", listed_memory},
    {0},
};
