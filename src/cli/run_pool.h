// SPDX-License-Identifier: Apache-2.0
// sandboxes run --pool N: many commands, each in a fresh sandbox, N at a time. Layer: cli.
#pragma once

#include "base/opt.h"
#include "cli/run.h"

// The operands are the commands, else the lines of standard input. The status is that of the first
// that did not end with 0.
int run_pool(struct run *run, const struct opt_operands *operands, int *ret_status,
             struct sbx_error *err);
