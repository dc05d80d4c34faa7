// SPDX-License-Identifier: Apache-2.0
// Capabilities of providers: names, what people call them, and the error for a missing one. Layer:
// core.
#pragma once

#include <sandboxes/types.h>

#include "base/error.h"

// UNSUPPORTED, naming the provider and the single capability.
int capability_missing(const char *provider, uint32_t capability, struct sbx_error *err);
