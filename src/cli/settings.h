// SPDX-License-Identifier: Apache-2.0
// Values that the command line left open, from the environment, then the configuration file. Layer:
// cli.
#pragma once

#include "cli/command.h"
#include "core/config.h"

/*
 * The table is the same for all commands: names that no option of `run` has are mistakes.
 * For each row of the use that may be a setting and was not given: SANDBOXES_NAME, else `name` in
 * the configuration's table. The values point into ret_config, which must outlive them.
 */
int settings_apply(struct cli *cli, struct invocation *use, const char *table,
                   struct config *ret_config, struct sbx_error *err);
