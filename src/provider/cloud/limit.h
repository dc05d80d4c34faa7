// SPDX-License-Identifier: Apache-2.0
/*
 * A command's own time limit. Services end one process then, or nothing, so it is ours to end the
 * command with all that descends from it. Layer: provider.
 */
#pragma once

#include <stdbool.h>

#include <sandboxes/process.h>

#include "base/clock.h"

#define CLOUD_KILL_MS 10000 // for killing it, and then for its end to be told

struct cloud_limit {
    int64_t at_ms; // DEADLINE_NEVER: none
    int64_t began_ns;
    bool killed;
};

// timeout_ms 0: none.
void cloud_limit_begin(struct cloud_limit *limit, int64_t timeout_ms);

enum cloud_limit_step {
    CLOUD_LIMIT_NONE, // the wait ended otherwise: its code is the caller's
    CLOUD_LIMIT_KILL, // kill it now, and wait on
    CLOUD_LIMIT_LOST  // it was killed, and even so no end came
};
// After a wait until the earlier of the call's end and this limit ended with `code`.
enum cloud_limit_step cloud_limit_met(struct cloud_limit *limit, int code);

// Fills in how long it took; 124 and TIMED_OUT if the limit ended it.
void cloud_limit_outcome(const struct cloud_limit *limit, struct sbx_outcome *outcome);
