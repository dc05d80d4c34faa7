// SPDX-License-Identifier: Apache-2.0
// The module of the cloud providers: the only place of it that names them. Layer: provider.
#include <string.h>

#include "base/cleanup.h"
#include "engine/module.h"

extern const struct sbx_provider_ops daytona_ops, e2b_ops;

static const struct sbx_provider_ops *const tables[] = {&daytona_ops, &e2b_ops};

SBX_API module_entry_fn sandboxes_cloud_provider;
const struct sbx_provider_ops *sandboxes_cloud_provider(const char *version, const char *name,
                                                        sbx_log_fn log)
{
    if (strcmp(version, SBX_VERSION) != 0)
        return NULL;
    if (log)
        sbx_log_set(log, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        if (strcmp(tables[i]->name, name) == 0)
            return tables[i];
    return NULL;
}
