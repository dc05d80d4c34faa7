// SPDX-License-Identifier: Apache-2.0
// A sandbox's handle from inside. Layer: core.
#pragma once

#include "core/client.h"

struct sbx_sandbox {
    struct provider *provider;
    void *box; // owned; of provider->ops
};
