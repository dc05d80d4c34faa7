// SPDX-License-Identifier: Apache-2.0
// Commands that a helper program runs, so that what it needs burdens no other command. Layer: cli.
#pragma once

#include "cli/cli.h"

// Becomes the helper `program` with these arguments. Returns only when it can't: the exit status.
// `remedy`: how the helper comes to be there.
int cli_become(struct cli *cli, const char *program, const char *remedy, const char *const *argv);
