// SPDX-License-Identifier: Apache-2.0
// Whether tasks, steps and runs go on, have succeeded or failed, told from what their tasks say
// about their attempts. Layer: metaflow.
#pragma once

#include "metaflow/service/mfapi.h"

// Each adds to the record: status (running, completed, failed), finished_at and duration once it is
// over; for tasks also attempt_id and started_at.
void mfstatus_add_task(struct mfservice *service, json_t *record);
void mfstatus_add_step(struct mfservice *service, json_t *record);
void mfstatus_add_run(struct mfservice *service, json_t *record);

// The object that a record is about; names are borrowed from it.
struct mfpath mfstatus_path(const json_t *record);

// One record for each attempt of a task.
json_t *mfstatus_attempts(struct mfservice *service, const json_t *task);
