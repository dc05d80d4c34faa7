// SPDX-License-Identifier: Apache-2.0
// One step in a sandbox: made, given the code, run, gone. Layer: metaflow.
#pragma once

#include "metaflow/launcher/guard.h"
#include "metaflow/launcher/stage.h"

struct step_run {
    const struct step_options *options;
    const struct stage *stage;
    const char *provider; // the one that is used
    struct sbx_client *client;
    struct sbx_cancel *cancel;
    struct guard guard;
    bool limits;                // the provider can limit processors and memory
    struct sbx_outcome outcome; // valid when step_run() succeeded
    bool output;                // something of the step has been seen
};

// Runs the step to its end. When this returns the sandbox is gone, however it ended (debug mode
// keeps it).
int step_run(struct step_run *run, struct sbx_error *err);
