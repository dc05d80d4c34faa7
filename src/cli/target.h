// SPDX-License-Identifier: Apache-2.0
// The living sandbox that a command is about. Layer: cli.
#pragma once

#include <sandboxes/sandbox.h>

#include "base/cleanup.h"

#include "cli/cli.h"

// By id or a unique prefix of it; provider NULL: all are searched. Free with sbx_sandbox_free().
int target_get(struct cli *cli, const char *provider, const char *id,
               struct sbx_sandbox **ret_sandbox, struct sbx_error *err);

static inline void target_free(struct sbx_sandbox **sandbox)
{
    sbx_sandbox_free(*sandbox);
}
#define cleanup_target cleanup(target_free)
