// SPDX-License-Identifier: Apache-2.0
// Pausing a sandbox: every process of it stops, the agent too, and none can tell. Layer: jail.
#pragma once

#include "jail/cgroup.h"

// Stops or continues all processes. UNSUPPORTED where this machine has no freezer for us.
int freezer_set(struct cgroup *cgroup, const struct jail *jail, bool frozen, struct sbx_error *err);

// Lets processes run again that are about to be killed.
void freezer_thaw(const struct cgroup *cgroup);
