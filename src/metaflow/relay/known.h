// SPDX-License-Identifier: Apache-2.0
// What a service has already of a task's records, so that sending them again after a crash adds
// nothing. Layer: metaflow.
#pragma once

#include "net/json.h"

struct known {
    char **keys; // sorted
    size_t count;
};

// Adds the service's list of a kind of records.
int known_add(struct known *known, const struct jsonv *list, struct sbx_error *err);
void known_sort(struct known *known); // after the last of them
bool known_has(const struct known *known, const struct jsonv *record);
void known_deinit(struct known *known);
