// SPDX-License-Identifier: Apache-2.0
/*
 * Control groups of one sandbox: version 2 (one directory) or version 1 (one a controller). They
 * hang beneath our own cgroup in a directory "sandboxes", so that limits around us hold for it too.
 * In version 2 perhaps beneath one above it, in a directory that has our own's limits of memory and
 * cpu. Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/. Layer: jail.
 */
#pragma once

#include <stdbool.h>

#include "jail/jail.h"
#include "wire/monitor_msg.h"

// The first three are made with the sandbox, the freezer when it is first paused.
enum cgroup_part {
    CGROUP_MEMORY,
    CGROUP_PIDS,
    CGROUP_CPU,    // without a quota it still gives each sandbox its fair share
    CGROUP_LIMITS, // count of those
    CGROUP_FREEZER = CGROUP_LIMITS,
    CGROUP_PARTS
};

struct group_path {
    char text[256];
};

struct cgroup {
    bool unified; // this machine has version 2 only; a hybrid one has its controllers in version 1
    bool v2;      // all parts are one directory
    int dir_fd;   // the sandbox's directory, borrowed
    int fds[CGROUP_PARTS]; // directories of this sandbox, -1 where there is none
    struct group_path paths[CGROUP_PARTS];
    // Version 1, of who makes many: the groups that we are in, and their "sandboxes"; else NULL,
    // -1.
    char *groups[CGROUP_LIMITS];
    int group_fds[CGROUP_LIMITS];
};

void cgroup_init(struct cgroup *cgroup);

// Ahead of many sandboxes, each of which is made in a copy of this process.
void cgroup_open_groups(struct cgroup *cgroup);

/*
 * Makes the groups and sets the limits. A limit that was asked for and can't be held is an error;
 * where nothing was asked for, groups that this machine withholds are left out.
 */
int cgroup_create(struct cgroup *cgroup, const struct jail *jail, struct sbx_error *err);
/*
 * Where a process moves itself in by writing "0": version 1's `tasks` files. Moving another one, or
 * a whole process, waits for a grace period of RCU (some 15 ms on an idle machine); a thread that
 * moves itself does not. Version 2 has CLONE_INTO_CGROUP instead: none are returned. Count or a
 * code.
 */
int cgroup_open_entries(const struct cgroup *cgroup, int ret_fds[CGROUP_LIMITS],
                        struct sbx_error *err);

void cgroup_measure(const struct cgroup *cgroup, struct monitor_metrics *ret_metrics);

// Opens (and makes) this sandbox's directory of one part. 0, or -1 and errno.
int cgroup_open_part(struct cgroup *cgroup, enum cgroup_part part, const char *id);

// Removes the groups, whose processes have ended. False if one stays. Their paths are in the record
// `cgroups`, from before they are made: so a sweep finds them whenever the monitor was killed.
bool cgroup_remove(struct cgroup *cgroup);
