// SPDX-License-Identifier: Apache-2.0
// User tags of a run: added and removed in one step, by the rules of Metaflow. Layer: metaflow.
#pragma once

#include "metaflow/service/mfstore.h"

// `change`: {"tags_to_add": [...], "tags_to_remove": [...]}; removing comes first. *ret_tags: the
// run's tags afterwards, sorted. INVALID (breaks a rule), NOT_FOUND, CONFLICT (others kept changing
// them).
int mftags_change(struct mfstore *store, const struct mfpath *run, const json_t *change,
                  json_t **ret_tags, struct sbx_error *err);
