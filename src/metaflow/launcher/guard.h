// SPDX-License-Identifier: Apache-2.0
/*
 * A sandbox elsewhere knows nothing of this process: were it killed, its sandbox would live on
 * until the service hears nothing for long enough. A guard is a process that waits for this one's
 * end and ends the sandbox then, at once. Sandboxes of this machine end with their launcher
 * without one. Layer: metaflow.
 */
#pragma once

#include <sys/types.h>

#include "metaflow/launcher/options.h"

#define GUARD_LABEL "metaflow.launch"

struct guard {
    int fd; // closed, and armed: it acts. -1: there is none
    pid_t pid;
    char id[32]; // value of GUARD_LABEL
};

// Forks: before there are threads.
int guard_start(const struct step_options *options, struct guard *ret_guard, struct sbx_error *err);
void guard_arm(const struct guard *guard, bool armed); // about to make a sandbox; it is gone
void guard_end(struct guard *guard);
