// SPDX-License-Identifier: Apache-2.0
// Hostile checks: who we are, what process 1 gives away, what we inherited.
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// capabilities(7): those by which a sandbox's root could reach beyond its own files and processes.
#define CAP_BIT(n) (1ULL << (n))
#define DANGEROUS                                                                                  \
    (CAP_BIT(2) /* DAC_READ_SEARCH */ | CAP_BIT(9) /* LINUX_IMMUTABLE */ |                         \
     CAP_BIT(12) /* NET_ADMIN */ | CAP_BIT(13) /* NET_RAW */ | CAP_BIT(14) /* IPC_LOCK */ |        \
     CAP_BIT(16) /* SYS_MODULE */ | CAP_BIT(17) /* SYS_RAWIO */ | CAP_BIT(19) /* SYS_PTRACE */ |   \
     CAP_BIT(20) /* SYS_PACCT */ | CAP_BIT(21) /* SYS_ADMIN */ | CAP_BIT(22) /* SYS_BOOT */ |      \
     CAP_BIT(23) /* SYS_NICE */ | CAP_BIT(24) /* SYS_RESOURCE */ | CAP_BIT(25) /* SYS_TIME */ |    \
     CAP_BIT(26) /* SYS_TTY_CONFIG */ | CAP_BIT(27) /* MKNOD */ |                                  \
     CAP_BIT(30) /* AUDIT_CONTROL */ | CAP_BIT(32) /* MAC_OVERRIDE */ |                            \
     CAP_BIT(33) /* MAC_ADMIN */ | CAP_BIT(34) /* SYSLOG */ | CAP_BIT(35) /* WAKE_ALARM */ |       \
     CAP_BIT(36) /* BLOCK_SUSPEND */ | CAP_BIT(37) /* AUDIT_READ */ | CAP_BIT(38) /* PERFMON */ |  \
     CAP_BIT(39) /* BPF */ | CAP_BIT(40) /* CHECKPOINT_RESTORE */)

// A map's line is: first id inside, first id of the parent, count.
static void id_map(const char *path, struct result *result)
{
    char text[4096];
    if (read_text(path, text, sizeof(text)) < 0)
        return result_skip(result, "%s: %s", path, strerror(errno));
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;) {
        unsigned inside, outside, count;
        if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 && outside == 0)
            return result_open(result, "maps the host's 0: %s", line);
    }
    result_ok(result, "%.60s", text);
}

static void user_map(const struct world *world, struct result *result)
{
    id_map("/proc/self/uid_map", result);
}

static void group_map(const struct world *world, struct result *result)
{
    id_map("/proc/self/gid_map", result);
}

static void capabilities(const struct world *world, struct result *result)
{
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    unsigned long long worst = world->root ? DANGEROUS : UINT64_MAX;
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        long long set = status_field("self", sets[i], 16);
        if (set < 0)
            return result_skip(result, "no /proc/self/status");
        if ((unsigned long long)set & worst)
            return result_open(result, "%s %llx", sets[i], set);
    }
    result_ok(result, "bounding set %llx", status_field("self", "CapBnd", 16));
}

static void no_new_privs(const struct world *world, struct result *result)
{
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return result_ok(result, "set");
    result_open(result, "not set");
}

static void secure_bits(const struct world *world, struct result *result)
{
    if (world->root)
        return result_skip(result, "the sandbox's root has its few capabilities as root has them");
    int bits = prctl(PR_GET_SECUREBITS);
    if ((bits & 0xf) == 0xf || (bits & 3) == 3)
        return result_ok(result, "0x%x", bits);
    result_open(result, "0x%x: root of a new program would get capabilities", bits);
}

// ---- set-user-ID programs

static const char *find_setuid(void)
{
    static const char *const candidates[] = {"/usr/bin/su",     "/bin/su",       "/usr/bin/passwd",
                                             "/usr/bin/newgrp", "/usr/bin/chsh", "/usr/bin/mount",
                                             "/bin/busybox"};
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        struct stat info;
        if (!stat(candidates[i], &info) && info.st_mode & S_ISUID)
            return candidates[i];
    }
    return NULL;
}

static void setuid_mount(const struct world *world, struct result *result)
{
    struct statvfs info;
    const char *places[] = {"/", "/usr", "/tmp", "/home", "/dev/shm", "/var/tmp"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (!statvfs(places[i], &info) && !(info.f_flag & ST_NOSUID))
            return result_open(result, "%s honours set-user-ID bits", places[i]);
    result_ok(result, "nosuid");
}

// su waits for a password that doesn't come; meanwhile its ids can be seen.
static void setuid_run(const struct world *world, struct result *result)
{
    const char *program = find_setuid();
    if (world->root || geteuid() == 0)
        return result_skip(result, "we are root already");
    if (!program)
        return result_skip(result, "there is no set-user-ID program");
    int ends[2];
    if (pipe(ends) < 0)
        return result_skip(result, "pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[0], 0);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        dup2(null, 2);
        execl(program, program, (char *)NULL);
        _exit(127);
    }
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", (int)child);
    result_ok(result, "%s keeps our ids", program);
    for (int i = 0; i < 100; i++) {
        char path[64], text[4096];
        unsigned real, effective;
        snprintf(path, sizeof(path), "/proc/%s/status", pid);
        const char *at = read_text(path, text, sizeof(text)) > 0 ? strstr(text, "\nUid:") : NULL;
        if (at && sscanf(at, "\nUid: %u %u", &real, &effective) == 2 && effective != geteuid())
            result_open(result, "%s became %u", program, effective);
        usleep(1000);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

// ---- process 1 and our parent

static void trace(pid_t pid, struct result *result)
{
    long returned = ptrace(PTRACE_SEIZE, pid, 0, 0);
    if (returned < 0 && errno == ESRCH)
        return result_ok(result, "ESRCH");
    result_refused(result, returned);
    if (!returned)
        ptrace(PTRACE_DETACH, pid, 0, 0);
}

static void trace_init(const struct world *world, struct result *result)
{
    trace(1, result);
}

static void trace_parent(const struct world *world, struct result *result)
{
    if (world->parent > 1)
        return result_skip(result, "our parent is a program like us");
    trace(world->parent ? world->parent : 1, result);
}

static void take_descriptor(const struct world *world, struct result *result)
{
    int pidfd = (int)syscall(SYS_pidfd_open, 1, 0);
    if (pidfd < 0)
        return result_refused(result, pidfd);
    result_refused(result, syscall(438, pidfd, 0, 0)); // pidfd_getfd
}

static void read_init(const char *path, struct result *result)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return result_absent(result, fd);
    ssize_t got = read(fd, text, sizeof(text));
    if (got == 0)
        return result_ok(result, "empty");
    result_absent(result, got);
}

static void init_memory(const struct world *world, struct result *result)
{
    int fd = open("/proc/1/mem", O_RDWR);
    result_absent(result, fd);
}

static void init_environment(const struct world *world, struct result *result)
{
    read_init("/proc/1/environ", result);
}

static void init_maps(const struct world *world, struct result *result)
{
    read_init("/proc/1/maps", result);
}

static void init_root(const struct world *world, struct result *result)
{
    struct stat ours, theirs;
    if (stat("/proc/1/root/.", &theirs) < 0)
        return result_absent(result, -1);
    if (!stat("/", &ours) && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
        return result_ok(result, "is ours");
    result_open(result, "another root");
}

// Root of a sandbox may see their numbers; where they lead must stay closed.
static void init_descriptors(const struct world *world, struct result *result)
{
    DIR *dir = opendir("/proc/1/fd");
    char target[256];
    if (!dir)
        return result_absent(result, -1);
    result_ok(result, "none can be followed");
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target)) >= 0)
            return result_open(result, "descriptor %s tells its target", entry->d_name);
        if (openat(dirfd(dir), entry->d_name, O_PATH) >= 0)
            return result_open(result, "descriptor %s can be opened", entry->d_name);
    }
}

static void init_links(const struct world *world, struct result *result)
{
    static const char *const links[] = {"/proc/1/cwd/.", "/proc/1/exe"};
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        int fd = open(links[i], O_PATH);
        if (fd >= 0)
            return result_open(result, "%s can be followed", links[i]);
    }
    result_ok(result, "%s", strerrorname_np(errno));
}

// Overwriting the agent's program, which runs with more rights (CVE-2019-5736).
static void overwrite_agent(const struct world *world, struct result *result)
{
    static const char *const ways[] = {"/proc/1/exe", "/proc/self/exe"};
    char path[4096] = "";
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        ssize_t length = readlink(ways[i], path, sizeof(path) - 1);
        if (i == 0 && open(ways[0], O_WRONLY) >= 0)
            return result_open(result, "/proc/1/exe can be written");
        if (i == 0 && length > 0) {
            path[length] = '\0';
            if (open(path, O_WRONLY) >= 0)
                return result_open(result, "%.100s can be written", path);
        }
    }
    result_ok(result, "%s", strerrorname_np(errno));
}

// ---- every process is bound by the filter

static void filter_everywhere(const struct world *world, struct result *result)
{
    DIR *dir = opendir("/proc");
    int seen = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        long long mode = status_field(entry->d_name, "Seccomp", 10);
        seen += mode == 2;
        if (mode >= 0 && mode != 2)
            return result_open(result, "process %s runs without a filter", entry->d_name);
    }
    if (!seen)
        return result_skip(result, "no /proc");
    result_ok(result, "%d processes", seen);
}

static void inherited(const struct world *world, struct result *result)
{
    if (world->inherited)
        return result_open(result, "%s", world->inherited);
    result_ok(result, "descriptors 0, 1, 2");
}

// A directory beyond our root (CVE-2024-21626): upwards from where we start, and through ourselves.
static void upwards(const struct world *world, struct result *result)
{
    struct stat root, up;
    stat("/", &root);
    char dots[128] = "";
    for (int i = 0; i < 40; i++)
        strcat(dots, "../");
    static const char *const starts[] = {".", "/proc/self/cwd", "/proc/self/root", "/"};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        int fd = open(starts[i], O_PATH | O_DIRECTORY);
        if (fd >= 0 && !fstatat(fd, dots, &up, 0) &&
            (up.st_dev != root.st_dev || up.st_ino != root.st_ino))
            return result_open(result, "another root above %s", starts[i]);
    }
    result_ok(result, "ends at our root");
}

static void kill_init(const struct world *world, struct result *result)
{
    static const int signals[] = {SIGKILL, SIGSTOP};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        kill(1, signals[i]);
    usleep(20000);
    char text[4096];
    if (read_text("/proc/1/stat", text, sizeof(text)) < 0)
        return result_skip(result, "no /proc/1/stat");
    const char *state = strrchr(text, ')');
    if (state && (state[2] == 'T' || state[2] == 'Z' || state[2] == 'X'))
        return result_open(result, "process 1 is in state %c", state[2]);
    result_ok(result, "process 1 lives on");
}

const struct probe identity_probes[] = {
    {"1", "user map", user_map},
    {"1", "group map", group_map},
    {"2", "capabilities", capabilities},
    {"2", "no_new_privs", no_new_privs},
    {"2", "securebits", secure_bits},
    {"3", "nosuid mounts", setuid_mount},
    {"3", "set-user-ID program", setuid_run},
    {"4", "trace process 1", trace_init},
    {"4", "trace the parent", trace_parent},
    {"5", "take a descriptor of process 1", take_descriptor},
    {"6", "memory of process 1", init_memory},
    {"6", "environment of process 1", init_environment},
    {"6", "map of process 1", init_maps},
    {"6", "root of process 1", init_root},
    {"6", "descriptors of process 1", init_descriptors},
    {"6", "cwd and exe of process 1", init_links},
    {"29", "filter on every process", filter_everywhere},
    {"38", "inherited descriptors", inherited},
    {"38", "above the root", upwards},
    {"39", "overwrite the agent", overwrite_agent},
    {"60", "kill process 1", kill_init},
    {0},
};
