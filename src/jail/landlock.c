// SPDX-License-Identifier: Apache-2.0
#include "jail/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

// <linux/landlock.h>, which a C library for static programs may lack. The numbers of the calls are
// the same on all machines.
#define CALL_CREATE_RULESET 444
#define CALL_ADD_RULE 445
#define CALL_RESTRICT_SELF 446
#define CREATE_RULESET_VERSION 1
#define RULE_PATH_BENEATH 1
#define FS_MAKE_CHAR (1ULL << 6)
#define FS_MAKE_BLOCK (1ULL << 11)
#define FS_REFER (1ULL << 13)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; // ABI 4
    uint64_t scoped;             // ABI 6
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

// A ruleset without REFER forbids every rename and link between directories, so it is handled and
// then allowed everywhere.
static int allow_refer(int ruleset_fd)
{
    cleanup_fd int root_fd = open("/", O_PATH | O_CLOEXEC);
    if (root_fd < 0)
        return -1;
    struct path_beneath_attr rule = {FS_REFER, root_fd};
    return (int)syscall(CALL_ADD_RULE, ruleset_fd, RULE_PATH_BENEATH, &rule, 0);
}

static int make_ruleset(long abi)
{
    struct ruleset_attr attr = {.handled_access_fs = FS_MAKE_CHAR | FS_MAKE_BLOCK | FS_REFER};
    size_t size = sizeof(attr.handled_access_fs);
    if (abi >= 6) {
        attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
        size = sizeof(attr);
    }
    return (int)syscall(CALL_CREATE_RULESET, &attr, size, 0);
}

int landlock_confine(struct sbx_error *err)
{
    long abi = syscall(CALL_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
    if (abi < 2) // absent, switched off, or without a way to allow REFER
        return 0;
    cleanup_fd int ruleset_fd = make_ruleset(abi);
    if (ruleset_fd < 0)
        return err_sys(err, SBX_ERR_SETUP, errno, "cannot make a Landlock ruleset");
    if (allow_refer(ruleset_fd) < 0)
        return err_sys(err, SBX_ERR_SETUP, errno, "cannot add a Landlock rule for '/'");
    if (syscall(CALL_RESTRICT_SELF, ruleset_fd, 0) < 0)
        return err_sys(err, SBX_ERR_SETUP, errno, "cannot apply Landlock");
    return 0;
}
