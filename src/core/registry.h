// SPDX-License-Identifier: Apache-2.0
// The providers that are built in. Layer: core.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sandboxes/provider.h>

#define REGISTRY_LAST_RESORT "local"

typedef int registry_load_fn(const struct sbx_settings *settings,
                             const struct sbx_provider_ops **ret_ops, struct sbx_error *err);

struct registry_row {
    const struct sbx_provider_ops *ops; // with `load`: only name, description, capabilities
    bool detected;                      // may become the default without being named
    // The whole table, before the first open; NULL: ops is it. Cheap when nothing is configured,
    // which it says as AUTH.
    registry_load_fn *load;
};

// In the order of auto-detection.
extern const struct registry_row registry_rows[];
extern const size_t registry_count;
