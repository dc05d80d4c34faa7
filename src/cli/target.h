// SPDX-License-Identifier: Apache-2.0
// The living sandboxes that a command is about. Layer: cli.
#pragma once

#include <sandboxes/sandbox.h>

#include "base/cleanup.h"
#include "base/opt.h"
#include "cli/cli.h"

// By id or a unique prefix of it; provider NULL: all are searched. Free with sbx_sandbox_free().
int target_get(struct cli *cli, const char *provider, const char *id,
               struct sbx_sandbox **ret_sandbox, struct sbx_error *err);

// Those with all of these labels (NAME=VALUE); none: all there are. Free with sbx_list_free().
int target_list(struct cli *cli, const char *provider, const struct opt_list *labels,
                struct sbx_list *ret_list, struct sbx_error *err);

static inline void target_free(struct sbx_sandbox **sandbox)
{
    sbx_sandbox_free(*sandbox);
}
#define cleanup_target cleanup(target_free)
