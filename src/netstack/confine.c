// SPDX-License-Identifier: Apache-2.0
// The process' own identity, limits and file system. The list of system calls: syscalls.c.
// Layer: netstack.
#include "netstack/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/netplan.h"
#include "netstack/pollset.h"
#include "netstack/resolvers.h"
#include "netstack/syscalls.h"

#define NOBODY 65534
#define MEMORY_MAX (256u << 20) // 512 connections with full buffers take half of it

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SANITIZED 1 // its shadow memory and its reports need more than we would allow
#else
#define SANITIZED 0
#endif

struct limit_row {
    int resource;
    rlim_t value;
};

static const struct limit_row limits[] = {
    {RLIMIT_CORE, 0},
    {RLIMIT_NOFILE, POLLSET_MAX},
    {RLIMIT_DATA, MEMORY_MAX},
    {RLIMIT_NPROC, 0},
};

static int set_limits(struct sbx_error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(limits) && !SANITIZED; i++) {
        struct rlimit limit;
        if (getrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
            return err_sys(err, 0, errno, "getrlimit");
        if (limit.rlim_max > limits[i].value)
            limit.rlim_max = limits[i].value;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
            return err_sys(err, 0, errno, "setrlimit");
    }
    return 0;
}

// In a user namespace where only our own uid exists there is nobody to become.
static int become(int uid, struct sbx_error *err)
{
    uid_t target = uid == CONFINE_NO_UID ? NOBODY : (uid_t)uid;
    if (geteuid() != 0) {
        if (uid != CONFINE_NO_UID && target != geteuid())
            return err_set(err, SBX_ERR_DENIED, "only root can run the network stack as uid %d",
                           uid);
        return 0;
    }
    if (setgroups(0, NULL) == 0 && setresgid(target, target, target) == 0 &&
        setresuid(target, target, target) == 0)
        return 0;
    if (uid == CONFINE_NO_UID && geteuid() == 0)
        return 0;
    return err_sys(err, SBX_ERR_SETUP, errno, "cannot become uid %d", (int)target);
}

static int drop_capabilities(struct sbx_error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, none) < 0)
        return err_sys(err, 0, errno, "cannot drop capabilities");
    return 0;
}

int confine_identity(int uid, struct sbx_error *err)
{
    // Without close_range(2) (before Linux 5.9) what is inherited stays; the monitor passes nothing
    // else.
    syscall(SYS_close_range, NETPLAN_FD_LEASH + 1, UINT_MAX, 0);
    int code = set_limits(err);
    if (code == 0)
        code = become(uid, err);
    if (code == 0)
        code = drop_capabilities(err);
    if (code < 0)
        return code;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return err_sys(err, 0, errno, "prctl");
    return 0;
}

// Landlock's interface by its numbers (kernel: Documentation/userspace-api/landlock.rst): headers
// of the systems we build on are older than the kernels that we run on.
struct landlock_ruleset {
    uint64_t files, net, scoped;
};

struct landlock_file_rule {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

#define LANDLOCK_VERSION_FLAG 1u
#define LANDLOCK_RULE_FILE 1
#define LANDLOCK_READ_FILE (1ull << 2)

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

struct landlock_version {
    size_t size; // of the ruleset that it knows
    struct landlock_ruleset handled;
};

// By version of the interface, each with what it can deny: all of the file system, listening on TCP
// ports, others' abstract sockets and signals.
static const struct landlock_version landlock_versions[] = {
    {0},
    {8, {.files = 0x1fff}},
    {8, {.files = 0x3fff}},
    {8, {.files = 0x7fff}},
    {16, {.files = 0x7fff, .net = 1}},
    {16, {.files = 0xffff, .net = 1}},
    {24, {.files = 0xffff, .net = 1, .scoped = 3}},
};

static void allow_reading(int ruleset, const char *path)
{
    cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);
    struct landlock_file_rule rule = {.allowed = LANDLOCK_READ_FILE, .fd = fd};
    if (fd >= 0)
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_FILE, &rule, 0);
}

// The file, or what it links to. A link leads to a directory that a resolver manages, where the
// file is replaced as it changes: so the directory then.
static void allow_resolv_conf(int ruleset)
{
    char path[PATH_MAX];
    if (!realpath(RESOLVERS_FILE, path))
        return;
    if (strcmp(path, RESOLVERS_FILE) != 0)
        *strrchr(path, '/') = '\0';
    allow_reading(ruleset, path[0] ? path : RESOLVERS_FILE);
}

static int restrict_files(struct sbx_error *err)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);
    if (version <= 0)
        return 0; // not in this kernel
    if (version >= (long)ARRAY_SIZE(landlock_versions))
        version = ARRAY_SIZE(landlock_versions) - 1;
    const struct landlock_version *known = &landlock_versions[version];
    cleanup_fd int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &known->handled, known->size, 0);
    if (ruleset < 0)
        return err_sys(err, 0, errno, "landlock_create_ruleset");
    allow_resolv_conf(ruleset);
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return err_sys(err, 0, errno, "landlock_restrict_self");
    return 0;
}

int confine_reach(struct sbx_error *err)
{
    int code = restrict_files(err);
    return code < 0 || SANITIZED ? code : syscalls_restrict(err);
}
