// SPDX-License-Identifier: Apache-2.0
// The options of `sandboxes image`, read by the command for its help and its checks and by the
// program that works. Layer: registry.
#pragma once

#include "base/opt.h"

struct image_values {
    int json, quiet, all;
};

#define IMAGE_ROW_COUNT 3
extern const struct opt_row image_rows[IMAGE_ROW_COUNT];
