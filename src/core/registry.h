// SPDX-License-Identifier: Apache-2.0
// The providers that are built in. Layer: core.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sandboxes/provider.h>

#define REGISTRY_LAST_RESORT "local"

struct registry_row {
    const struct sbx_provider_ops *ops;
    bool detected; // may become the default without being named
};

// In the order of auto-detection.
extern const struct registry_row registry_rows[];
extern const size_t registry_count;
