// SPDX-License-Identifier: Apache-2.0
// A sandbox's handle from inside. Layer: core.
#pragma once

#include "core/client.h"
#include "core/guard.h"

struct sbx_sandbox {
    struct provider *provider;
    void *box;                 // owned; of provider->ops
    const struct guard *guard; // of the manager that looks after it, or NULL
};
