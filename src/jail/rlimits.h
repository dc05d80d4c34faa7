// SPDX-License-Identifier: Apache-2.0
// Resource limits of the sandbox's processes, which nobody inside can raise. setrlimit(2). Layer:
// jail.
#pragma once

#include <stdint.h>

#include "base/error.h"

struct rlimits {
    uint64_t open_files; // 0: the default
    uint64_t processes;  // 0: no rlimit, a cgroup counts them
};

// On the calling process, to be inherited. A limit that is already lower stays.
int rlimits_apply(const struct rlimits *limits, struct sbx_error *err);
