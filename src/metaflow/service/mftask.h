// SPDX-License-Identifier: Apache-2.0
/*
 * What a task has told: metadata (sysmeta_FIELD_MILLISECONDS.json) and artifacts
 * (ATTEMPT_artifact_NAME.json), beside its _self.json. Telling the same twice changes nothing, as
 * clients repeat what they got no answer to. Layer: metaflow.
 */
#pragma once

#include "metaflow/service/mfstore.h"

// `list` is an array of records, or one; they become what is written. *ret_count: how many it held.
// INVALID, NOT_FOUND (no such task).
int mftask_add_metadata(struct mfstore *store, const struct mfpath *task, json_t *list,
                        size_t *ret_count, struct sbx_error *err);
int mftask_add_artifacts(struct mfstore *store, const struct mfpath *task, json_t *list,
                         size_t *ret_count, struct sbx_error *err);

// All metadata in the order of their times. `field` chooses; NULL: all.
int mftask_metadata(struct mfstore *store, const struct mfpath *task, const char *field,
                    json_t **ret_list, struct sbx_error *err);

#define MFTASK_LAST_ATTEMPT (-1)

// Artifacts of an attempt with the run's tags; of the last one that is done for LAST_ATTEMPT, none
// when no attempt is.
int mftask_artifacts(struct mfstore *store, const struct mfpath *task, int64_t attempt,
                     json_t **ret_list, struct sbx_error *err);
int mftask_artifact(struct mfstore *store, const struct mfpath *task, const char *name,
                    int64_t attempt, json_t **ret_record, struct sbx_error *err);

/*
 * Paths (FLOW/RUN/STEP/TASK) of the tasks of a step where metadata of that field ("" for any)
 * matches the extended regular expression somewhere; all when pattern is "". INVALID for a pattern
 * that is none. Patterns are as Python writes them as far as clients send them: (?:...) and \d.
 */
int mftask_filter(struct mfstore *store, const struct mfpath *step, const char *field,
                  const char *pattern, json_t **ret_list, struct sbx_error *err);
