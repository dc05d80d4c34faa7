// SPDX-License-Identifier: Apache-2.0
// Making and opening a sandbox at a known provider, with arguments that are checked. Layer: core.
#pragma once

#include "core/sandbox.h"

int sandbox_create(struct provider *provider, const struct sbx_spec *spec,
                   const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                   struct sbx_error *err);
int sandbox_open(struct provider *provider, const char *id, const struct sbx_call *call,
                 struct sbx_sandbox **ret_sandbox, struct sbx_error *err);
