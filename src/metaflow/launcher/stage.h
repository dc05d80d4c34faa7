// SPDX-License-Identifier: Apache-2.0
/*
 * What a task may write of the local datastore: two directories of its own below
 * DATASTORE/.sandbox, mounted into its sandbox. The datastore itself is read-only there. When the
 * sandbox is gone, merge.h takes over what belongs to the task.
 *
 *   STAGE/task   stands for DATASTORE/FLOW/RUN/STEP/TASK, begins as a copy of it
 *   STAGE/new    new files of any other place of the datastore, at the same relative paths
 *
 * A stage is locked (flock) as long as its launcher lives; whoever makes one removes those that no
 * one holds. Layer: metaflow.
 */
#pragma once

#include <limits.h>

#include "metaflow/launcher/options.h"

#define STAGE_NEW_INSIDE "/mnt/metaflow" // where STAGE/new is seen in the sandbox

struct stage {
    int root_fd; // the datastore
    int area_fd; // DATASTORE/.sandbox
    int fd;      // the stage
    int task_fd; // the task's own directory in the datastore
    char name[32];
    char task_path[PATH_MAX];  // of DATASTORE/FLOW/RUN/STEP/TASK
    char stage_task[PATH_MAX]; // of STAGE/task
    char stage_new[PATH_MAX];  // of STAGE/new
};
#define STAGE_INIT                                                                                 \
    {                                                                                              \
        .root_fd = -1, .area_fd = -1, .fd = -1, .task_fd = -1                                      \
    }

int stage_open(const struct step_options *options, struct stage *ret_stage, struct sbx_error *err);
void stage_close(struct stage *stage); // removes it
