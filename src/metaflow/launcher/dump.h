// SPDX-License-Identifier: Apache-2.0
// Debug mode: what was run, with which variables, for a person to read. Layer: metaflow.
#pragma once

#include "metaflow/launcher/options.h"

// DIR/PROVIDER-STEP-TASK-ATTEMPT.sh and .env.json, readable by the user alone; values of variables
// whose names speak of secrets are masked.
int dump_write(const struct step_options *options, const struct sbx_pair *env, size_t env_count,
               struct sbx_error *err);
