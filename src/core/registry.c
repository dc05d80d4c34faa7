// SPDX-License-Identifier: Apache-2.0
/*
 * The providers that are built in: the only place of the core that names one. A table of functions
 * alone must not pull in a provider's heavy libraries; those are opened by its open(). Layer: core.
 */
#include "core/registry.h"

#include "base/cleanup.h"
#include "core/absent.h"

extern const struct sbx_provider_ops provider_daytona, provider_e2b, provider_fake, provider_local,
    provider_microvm;
registry_load_fn provider_daytona_load, provider_e2b_load;

const struct registry_row registry_rows[] = {
    {&provider_e2b, true, provider_e2b_load},
    {&absent_modal, true, absent_load},
    {&provider_daytona, true, provider_daytona_load},
    {&absent_cloudflare, true, absent_load},
    {&absent_hopx, true, absent_load},
    {&absent_vercel, true, absent_load},
    {&absent_sprites, true, absent_load},
    {&provider_local, true, NULL},
    {&provider_microvm, false, NULL},
    {&provider_fake, false, NULL},
};
const size_t registry_count = ARRAY_SIZE(registry_rows);
