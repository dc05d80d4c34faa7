// SPDX-License-Identifier: Apache-2.0
// Pausing a sandbox. cgroup-v2.rst "cgroup.freeze", cgroup-v1/freezer-subsystem.rst. Layer: jail.
#include "jail/freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define PROCESSES_TEXT_MAX (64 * 1024)

static int no_freezer(struct sbx_error *err)
{
    err_set(err, SBX_ERR_UNSUPPORTED, "this machine has no cgroup freezer for the sandbox");
    return err_hint(err, "run as root, or with a delegated cgroup: "
                         "systemd-run --user --scope -p Delegate=yes sandboxes ...");
}

// One pass over the sandbox's processes; true if there was one to move. Those that end meanwhile
// are fine.
static bool move_some(const struct cgroup *cgroup, char *text)
{
    bool moved = false;
    if (fd_read_file(cgroup->fds[CGROUP_MEMORY], "cgroup.procs", text, PROCESSES_TEXT_MAX) < 0)
        return false;
    for (char *pid = strtok(text, "\n"); pid; pid = strtok(NULL, "\n")) {
        char path[64], own[4096];
        snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
        bool inside = fd_read_file(AT_FDCWD, path, own, sizeof(own)) > 0 &&
                      strstr(own, ":freezer:") && strstr(strstr(own, ":freezer:"), "/sandboxes/");
        if (!inside && fd_write_file(cgroup->fds[CGROUP_FREEZER], "cgroup.procs", pid) == 0)
            moved = true;
    }
    return moved;
}

// Version 1 keeps the freezer in a hierarchy of its own, which a sandbox joins when it is first
// paused. Processes that fork meanwhile leave children outside: passes go on until none is.
static int join_v1(struct cgroup *cgroup, const struct jail *jail, struct sbx_error *err)
{
    if (cgroup->fds[CGROUP_FREEZER] >= 0)
        return 0;
    if (cgroup->fds[CGROUP_MEMORY] < 0 ||
        cgroup_open_part(cgroup, CGROUP_FREEZER, jail->spec.id) < 0)
        return no_freezer(err);
    cleanup_free char *text = malloc(PROCESSES_TEXT_MAX);
    if (!text)
        return err_nomem(err);
    for (int passes = 0; move_some(cgroup, text) && passes < 100; passes++)
        ;
    return 0;
}

// A process in the midst of a system call may take a moment to stop.
static int await_frozen(const struct cgroup *cgroup, struct sbx_error *err)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    char state[32];
    for (int tries = 0; tries < 2000; tries++) {
        if (fd_read_file(cgroup->fds[CGROUP_FREEZER], "freezer.state", state, sizeof(state)) > 0 &&
            strcmp(state, "FROZEN\n") == 0)
            return 0;
        nanosleep(&pause, NULL);
    }
    return err_set(err, SBX_ERR_TIMEOUT, "the sandbox's processes did not stop");
}

static int set_v1(struct cgroup *cgroup, const struct jail *jail, bool frozen,
                  struct sbx_error *err)
{
    int code = join_v1(cgroup, jail, err);
    if (code < 0)
        return code;
    const char *state = frozen ? "FROZEN" : "THAWED";
    if (fd_write_file(cgroup->fds[CGROUP_FREEZER], "freezer.state", state) < 0)
        return err_sys(err, 0, errno, "cannot set the freezer to %s", state);
    return frozen ? await_frozen(cgroup, err) : 0;
}

// cgroup.freeze only asks for it: cgroup.events tells.
static int await_v2(const struct cgroup *cgroup, struct sbx_error *err)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    char events[256];
    for (int tries = 0; tries < 2000; tries++) {
        if (fd_read_file(cgroup->fds[CGROUP_MEMORY], "cgroup.events", events, sizeof(events)) > 0 &&
            strstr(events, "frozen 1"))
            return 0;
        nanosleep(&pause, NULL);
    }
    return err_set(err, SBX_ERR_TIMEOUT, "the sandbox's processes did not stop");
}

int freezer_set(struct cgroup *cgroup, const struct jail *jail, bool frozen, struct sbx_error *err)
{
    if (!cgroup->v2)
        return set_v1(cgroup, jail, frozen, err);
    if (fd_write_file(cgroup->fds[CGROUP_MEMORY], "cgroup.freeze", frozen ? "1" : "0") < 0)
        return no_freezer(err);
    return frozen ? await_v2(cgroup, err) : 0;
}

void freezer_thaw(const struct cgroup *cgroup)
{
    if (cgroup->fds[CGROUP_FREEZER] >= 0)
        (void)fd_write_file(cgroup->fds[CGROUP_FREEZER], "freezer.state", "THAWED");
}
