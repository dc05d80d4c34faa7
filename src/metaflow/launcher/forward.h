// SPDX-License-Identifier: Apache-2.0
// Metadata of the task on its way to a service: a program beside this one does it. Layer: metaflow.
#pragma once

#include <sys/types.h>

#include "metaflow/launcher/stage.h"

struct forward {
    pid_t pid;    // 0: there is none
    int input_fd; // closed, it sends what is left and ends
};

/*
 * Starts it where METAFLOW_SANDBOX_RELAY_URL names a service, unless that one keeps its data in the
 * datastore itself and has seen the task's files there already: metaflow-local-service does.
 */
int forward_start(const struct step_options *options, const struct stage *stage,
                  struct forward *ret_forward, struct sbx_error *err);
void forward_end(struct forward *forward);
