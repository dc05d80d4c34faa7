// SPDX-License-Identifier: Apache-2.0
// What this machine can do for local sandboxes, found out by trying. Layer: engine.
#pragma once

#include <stddef.h>

#include "base/error.h"

enum doctor_level {
    DOCTOR_OK = 0,
    DOCTOR_DEGRADED = 1, // sandboxes work, something of them doesn't; `what` says which
    DOCTOR_MISSING = 2   // no sandbox can be made
};

struct doctor_check {
    const char *name; // static
    int level;        // enum doctor_level
    char what[200];   // what was found, in one line
    char remedy[600]; // exact command or profile that allows it; "" when nothing is to be done
};

#define DOCTOR_CHECKS_MAX 32

/*
 * Runs all checks, in the order of their importance. Each tries the thing itself in a short-lived
 * child; together they take well under 100 ms and leave nothing behind. At most `capacity` results
 * are stored.
 */
int doctor_run(struct doctor_check *ret_checks, size_t capacity, size_t *ret_count,
               struct sbx_error *err);

/*
 * Fills err->remedy for a stage of building a sandbox that failed with sys_errno, such as "user
 * namespace", "mount", "overlay", "cgroup", "network": looks at this machine only for the cause at
 * hand. Unknown stages keep the remedy that is there. Returns err->code.
 */
int doctor_explain(int sys_errno, const char *stage, struct sbx_error *err);
