// SPDX-License-Identifier: Apache-2.0
// Providers that are known by name but not part of this version: naming one says so, instead of
// calling it a typing error. Layer: core.
#pragma once

#include "core/registry.h"

extern const struct sbx_provider_ops absent_modal, absent_cloudflare, absent_hopx, absent_vercel,
    absent_sprites;
registry_load_fn absent_load;
