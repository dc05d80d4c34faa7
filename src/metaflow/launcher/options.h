// SPDX-License-Identifier: Apache-2.0
// What Metaflow's side asks of the launcher: one row an option. Layer: metaflow.
#pragma once

#include <sandboxes/sandboxes.h>

#include "base/opt.h"

struct step_options {
    const char *provider, *image, *gpu;
    const char *instead;   // provider to use where `provider` can't be; NULL: none
    const char *task;      // FLOW/RUN/STEP/TASK
    const char *datastore; // the local datastore's directory; NULL: a remote datastore
    const char *cards;     // where cards are kept
    const char *code;      // directory with the flow's own files
    const char *package;   // archive that goes where nothing can be mounted; NULL: mounts
    const char *root_home; // directory that stands for /root inside
    const char *debug;     // directory of the dumps; the sandbox is kept
    struct opt_list mounts, env, allow;
    struct opt_list uploads, upload_to; // files here, and the path inside for each
    int64_t cpu, timeout, attempt, infra_retries;
    uint64_t memory;
    int network, soft_limits;
    int remote; // artifacts are elsewhere, and `datastore` is for metadata alone

    struct opt_operands command;
    char flow[256], run[256], step[256], task_id[256]; // the parts of `task`
};

// Reads argv; a mistake is INVALID. Afterwards, on failure too, step_options_deinit().
int step_options_read(int argc, const char *const *argv, struct step_options *ret_options,
                      struct sbx_error *err);
void step_options_deinit(struct step_options *options);
