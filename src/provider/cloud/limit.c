// SPDX-License-Identifier: Apache-2.0
// Commands' own time limits. Layer: provider.
#include "provider/cloud/limit.h"

#include "base/error.h"

void cloud_limit_begin(struct cloud_limit *limit, int64_t timeout_ms)
{
    limit->at_ms = timeout_ms ? clock_boot_ms() + timeout_ms : DEADLINE_NEVER;
    limit->began_ns = clock_boot_ns();
    limit->killed = false;
}

enum cloud_limit_step cloud_limit_met(struct cloud_limit *limit, int code)
{
    if (code != SBX_ERR_TIMEOUT || limit->at_ms == DEADLINE_NEVER || clock_boot_ms() < limit->at_ms)
        return CLOUD_LIMIT_NONE;
    if (limit->killed)
        return CLOUD_LIMIT_LOST;
    limit->killed = true;
    limit->at_ms = clock_boot_ms() + CLOUD_KILL_MS;
    return CLOUD_LIMIT_KILL;
}

void cloud_limit_outcome(const struct cloud_limit *limit, struct sbx_outcome *outcome)
{
    outcome->duration_us = (uint64_t)(clock_boot_ns() - limit->began_ns) / 1000;
    if (!limit->killed)
        return;
    outcome->exit_code = 124;
    outcome->signal = 0;
    outcome->flags = SBX_OUTCOME_TIMED_OUT;
}
