// SPDX-License-Identifier: Apache-2.0
// Becoming a user of the sandbox. Layer: agent.
#include "agent/rights.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/error.h"

static bool is_same(const struct config *config, const struct user *user)
{
    return config->uid == user->uid && config->gid == user->gid;
}

// Groups beside the user's own, on this side or that.
static bool groups_differ(const struct config *config, const struct user *user)
{
    return config->group_count > 0 || user->group_count > 1;
}

// Where only one uid is mapped the kernel forbids setgroups(2) for good, user_namespaces(7):
// harmless when the user stays the same, for then there is nothing to take away.
static enum rights_step set_ids(const struct config *config, const struct user *user)
{
    bool same = is_same(config, user);
    if (groups_differ(config, user) &&
        syscall(SYS_setgroups, user->group_count, user->groups) < 0 &&
        !(same && (errno == EPERM || errno == EINVAL)))
        return RIGHTS_GROUPS;
    if (same)
        return RIGHTS_OK;
    if (syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0)
        return RIGHTS_GID;
    if (syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0)
        return RIGHTS_UID;
    return RIGHTS_OK;
}

// The agent may run before others; raw, getpriority(2) tells 20 - nice.
static void leave_preference(void)
{
    if (syscall(SYS_getpriority, PRIO_PROCESS, 0) > 20)
        syscall(SYS_setpriority, PRIO_PROCESS, 0, 0);
}

enum rights_step rights_become(const struct config *config, const struct user *user)
{
    if (!config->keeps_nice)
        leave_preference();
    bool lose = user->uid != 0 && !config->powerless;
    if (lose && caps_lock(config->bounding) < 0)
        return RIGHTS_LOCK;
    enum rights_step step = set_ids(config, user);
    if (step != RIGHTS_OK)
        return step;
    if (lose && caps_clear() < 0)
        return RIGHTS_CLEAR;
    return RIGHTS_OK;
}

int rights_failed(enum rights_step step, int sys_errno, const struct user *user,
                  struct sbx_error *err)
{
    bool mapping = step == RIGHTS_GROUPS || step == RIGHTS_GID || step == RIGHTS_UID;
    if (!mapping)
        return err_sys(err, 0, sys_errno, "cannot give up capabilities for user '%s'", user->name);
    if (sys_errno != EINVAL && sys_errno != EPERM)
        return err_sys(err, 0, sys_errno, "cannot become user '%s' (%u)", user->name, user->uid);
    err_set(err, SBX_ERR_UNSUPPORTED,
            "this sandbox has no user '%s': only one user id is mapped in it", user->name);
    err->sys_errno = sys_errno;
    if (user->uid == 0)
        return err_hint(err, "create the sandbox with --user root");
    return err_hint(
        err, "create the sandbox with --user %s, or give this account a range in /etc/subuid",
        user->name);
}
