// SPDX-License-Identifier: Apache-2.0
// Labels: what they may be, their order, and whether a sandbox has them. Layer: core's types.
#pragma once

#include <stdbool.h>

#include <sandboxes/types.h>

#include "base/error.h"

#define LABELS_MAX 64
#define LABEL_NAME_MAX 63
#define LABEL_VALUE_MAX 256

// Names of [A-Za-z0-9._/-], 1 to 63 of them, each name once; values are UTF-8 of at most 256 bytes
// without control characters. `field` is how messages call the array.
int labels_check(const struct sbx_pair *labels, size_t count, const char *field,
                 struct sbx_error *err);

// By name, in place.
void labels_sort(struct sbx_pair *labels, size_t count);

// True when each wanted label is among the sandbox's. None wanted: always.
bool labels_match(const struct sbx_pair *labels, size_t count, const struct sbx_pair *wanted,
                  size_t wanted_count);
