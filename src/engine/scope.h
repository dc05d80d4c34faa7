// SPDX-License-Identifier: Apache-2.0
/*
 * A group of one's own from the account's systemd. The group of a login belongs to root, and no
 * process may leave it for one that the account owns (cgroups(7), "Delegation"): only systemd can
 * move it, on request of systemd-run(1), into a scope of user@.service. Layer: engine.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#define SCOPE_ARGS 7

struct scope {
    char runtime_dir[PATH_MAX]; // "XDG_RUNTIME_DIR=..."
    char *argv[SCOPE_ARGS + 1]; // before the program's own words
    char *envp[2];
};

// True if limits of groups can be had in no other way, and in this one. Fills *ret_scope, which
// must not be copied.
bool scope_find(struct scope *ret_scope);
