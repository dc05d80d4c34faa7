// SPDX-License-Identifier: Apache-2.0
// User namespaces: which ids a sandbox gets, and mapping them. Layer: jail.
#include "jail/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/lean.h"

// Ids that neither people nor other container tools use: above systemd-nspawn's ranges, below 2^31.
#define RANGE_FIRST 0x70000000u
#define RANGE_SLOTS 4094u

#define USER_ID 1000 // of `user` inside

// Of an ordinary user's sandbox, whose account has 128 and some 100,000 for all that it runs.
#define INOTIFY_INSTANCES "32"
#define INOTIFY_WATCHES "32768"

#define NEWUIDMAP "/usr/bin/newuidmap"
#define NEWGIDMAP "/usr/bin/newgidmap"

#define SUB_COUNT_MAX 65535u

// The first range that the file grants to this user, by name or number. False if there is none.
static bool find_subordinate(const char *file, uint32_t *ret_first, uint32_t *ret_count)
{
    char text[16384], number[16];
    const struct passwd *account = getpwuid(getuid());
    snprintf(number, sizeof(number), "%u", getuid());
    if (fd_read_file(AT_FDCWD, file, text, sizeof(text)) < 0)
        return false;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char name[64];
        unsigned first, count;
        if (sscanf(line, "%63[^:]:%u:%u", name, &first, &count) != 3 || count == 0 ||
            (strcmp(name, number) != 0 && (!account || strcmp(name, account->pw_name) != 0)))
            continue;
        *ret_first = first;
        *ret_count = count < SUB_COUNT_MAX ? count : SUB_COUNT_MAX;
        return true;
    }
    return false;
}

static void choose_subordinate(struct jail_ids *ids)
{
    uint32_t uids, gids;
    if (access(NEWUIDMAP, X_OK) < 0 || access(NEWGIDMAP, X_OK) < 0 ||
        !find_subordinate("/etc/subuid", &ids->sub_uid, &uids) ||
        !find_subordinate("/etc/subgid", &ids->sub_gid, &gids))
        return;
    ids->sub_count = uids < gids ? uids : gids;
}

int ids_open_limits(const struct jail *jail)
{
    return openat(jail->sysctl_fd, "user", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void ids_limit(const struct jail *jail, int limits_fd)
{
    // Which namespace's limit is meant is decided at opening: user_namespaces(7).
    (void)fd_write_file(limits_fd, "max_user_namespaces", "0");
    if (jail->privileged)
        return;
    (void)fd_write_file(limits_fd, "max_inotify_instances", INOTIFY_INSTANCES);
    (void)fd_write_file(limits_fd, "max_inotify_watches", INOTIFY_WATCHES);
}

/*
 * What is held in a user namespace (watches, queued signals, message queues) counts against the
 * account that made it too: as root, one sandbox could use up what this machine's services need. So
 * the sandbox's own first id makes it, which is nobody else's. Capabilities stay, as some kernels
 * want one for this, and so do rights over files. Only who may look into that account's processes
 * can use the namespace afterwards.
 */
static bool pose(const struct jail *jail, int *ret_bits)
{
    *ret_bits = prctl(PR_GET_SECUREBITS);
    if (!jail->privileged || prctl(PR_CAPBSET_READ, CAP_SYS_PTRACE) != 1 || *ret_bits < 0 ||
        prctl(PR_SET_SECUREBITS, *ret_bits | SECBIT_NO_SETUID_FIXUP) < 0)
        return false;
    if (syscall(SYS_setresuid, -1, jail->ids.base, -1) == 0)
        syscall(SYS_setfsuid, 0);
    return true;
}

static void unpose(int bits)
{
    if (syscall(SYS_setresuid, -1, 0, -1) < 0 || prctl(PR_SET_SECUREBITS, bits) < 0)
        _exit(1); // nobody that we know how to go on as
}

pid_t ids_clone(const struct jail *jail, int flags, char *stack, int (*body)(void *), void *payload)
{
    int bits;
    bool posed = pose(jail, &bits);
    pid_t pid = lean_clone(flags | CLONE_NEWUSER | SIGCHLD, stack, body, payload);
    int saved = errno;
    if (posed)
        unpose(bits);
    errno = saved;
    return pid;
}

// A rare shared range costs only per-user kernel accounting.
static int choose_range(struct jail_ids *ids, struct sbx_error *err)
{
    uint32_t seed;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return jail_fail(err, "ids", "cannot get random bytes");
    uint32_t base = RANGE_FIRST + seed % RANGE_SLOTS * JAIL_UID_COUNT;
    *ids = (struct jail_ids){.base = base, .gid_base = base, .count = JAIL_UID_COUNT};
    return 0;
}

int ids_choose(struct jail *jail, struct sbx_error *err)
{
    struct jail_ids *ids = &jail->ids;
    if (jail->privileged)
        return choose_range(ids, err);
    bool root = jail->spec.flags & BOX_ROOT_USER;
    *ids = (struct jail_ids){
        .inside = root ? 0 : USER_ID, .base = getuid(), .gid_base = getgid(), .count = 1};
    if (root)
        choose_subordinate(ids);
    return 0;
}

static int run_mapper(const char *program, pid_t pid, uint32_t own, uint32_t first, uint32_t count,
                      struct sbx_error *err)
{
    char numbers[4][16];
    const uint32_t values[4] = {(uint32_t)pid, own, first, count};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        snprintf(numbers[i], sizeof(numbers[i]), "%u", values[i]);
    const char *argv[] = {program, numbers[0], "0",        numbers[1], "1",
                          "1",     numbers[2], numbers[3], NULL};
    static const char *const envp[] = {NULL};
    int status = -1;
    pid_t mapper = fork();
    if (mapper == 0) {
        execve(program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp);
        _exit(1);
    }
    if (mapper > 0 && waitpid(mapper, &status, 0) == mapper && status == 0)
        return 0;
    errno = EPERM;
    return jail_fail(err, "user namespace", "%s refused the subordinate ids %u and above", program,
                     first);
}

int ids_map_subordinate(const struct jail *jail, pid_t pid, struct sbx_error *err)
{
    const struct jail_ids *ids = &jail->ids;
    int code = run_mapper(NEWUIDMAP, pid, ids->base, ids->sub_uid, ids->sub_count, err);
    return code < 0 ? code
                    : run_mapper(NEWGIDMAP, pid, ids->gid_base, ids->sub_gid, ids->sub_count, err);
}

static int write_map(const char *process, const char *file, uint32_t inside, uint32_t outside,
                     uint32_t count, struct sbx_error *err)
{
    char path[64], line[64];
    snprintf(path, sizeof(path), "/proc/%s/%s", process, file);
    snprintf(line, sizeof(line), "%u %u %u\n", inside, outside, count);
    if (fd_write_file(AT_FDCWD, path, line) < 0)
        return jail_fail(err, "user namespace", "cannot map ids (%s '%u %u %u')", file, inside,
                         outside, count);
    return 0;
}

static int write_maps(const struct jail_ids *ids, const char *process, struct sbx_error *err)
{
    int code = write_map(process, "uid_map", ids->inside, ids->base, ids->count, err);
    return code < 0 ? code
                    : write_map(process, "gid_map", ids->inside, ids->gid_base, ids->count, err);
}

static int open_namespace(const char *process, struct sbx_error *err)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%s/ns/user", process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : jail_fail(err, "user namespace", "cannot open %s", path);
}

int ids_open_namespace(pid_t pid, struct sbx_error *err)
{
    char process[16];
    snprintf(process, sizeof(process), "%d", pid);
    return open_namespace(process, err);
}

int ids_map(const struct jail *jail, pid_t pid, struct sbx_error *err)
{
    char process[16];
    snprintf(process, sizeof(process), "%d", pid);
    return write_maps(&jail->ids, process, err);
}

int ids_map_self(const struct jail *jail, struct sbx_error *err)
{
    // An ordinary user may write gid_map only after giving up setgroups(2): user_namespaces(7).
    if (fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny") < 0 && errno != ENOENT)
        return jail_fail(err, "user namespace", "cannot write /proc/self/setgroups");
    return write_maps(&jail->ids, "self", err);
}

static int hold(void *payload)
{
    (void)payload;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (pause() < 0)
        ;
    return 0;
}

pid_t ids_fork_holder(const struct jail *jail)
{
    return ids_clone(jail, 0, NULL, hold, NULL);
}

void ids_kill_holder(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// A child's name in /proc, which may show another pid namespace than ours: init's is new, and /proc
// still the host's. A pidfd's fdinfo tells the number that fits (pidfd_open(2)).
static int name_in_proc(pid_t pid, char *ret_name, size_t size, struct sbx_error *err)
{
    char path[64], text[512];
    cleanup_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    const char *at = fd >= 0 && fd_read_file(AT_FDCWD, path, text, sizeof(text)) > 0
                         ? strstr(text, "\nPid:")
                         : NULL;
    if (!at)
        return jail_fail(err, "user namespace", "cannot find our child in /proc");
    snprintf(ret_name, size, "%ld", strtol(at + strlen("\nPid:"), NULL, 10));
    return 0;
}

static int map_owner_of(const struct jail *jail, const char *process, uint32_t uid, uint32_t gid,
                        struct sbx_error *err)
{
    uint32_t user = jail->spec.flags & BOX_ROOT_USER ? 0 : USER_ID;
    int code = write_map(process, "uid_map", uid, jail->ids.base + user, 1, err);
    if (code == 0)
        code = write_map(process, "gid_map", gid, jail->ids.gid_base + user, 1, err);
    return code < 0 ? code : open_namespace(process, err);
}

int ids_owner_namespace(const struct jail *jail, uint32_t uid, uint32_t gid, struct sbx_error *err)
{
    pid_t pid = ids_fork_holder(jail);
    if (pid < 0)
        return jail_fail(err, "user namespace", "cannot make a user namespace for a mount");
    char process[16];
    int code = name_in_proc(pid, process, sizeof(process), err);
    if (code == 0)
        code = map_owner_of(jail, process, uid, gid, err);
    ids_kill_holder(pid);
    return code;
}
