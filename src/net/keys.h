// SPDX-License-Identifier: Apache-2.0
// A provider's settings: environment first, then its table of the configuration. Header only, since
// the library itself asks too whether a provider is configured. Layer: net.
#pragma once

#include <stdlib.h>
#include <string.h>

#include <sandboxes/provider.h>

// The environment's value if it is not empty, else the setting's; NULL if neither is there.
static inline const char *keys_get(const struct sbx_settings *settings, const char *env,
                                   const char *key)
{
    const char *value = env ? getenv(env) : NULL;
    if (!value || !value[0])
        value = key ? sbx_settings_get(settings, key) : NULL;
    return value && value[0] ? value : NULL;
}

static inline int keys_true(const char *value)
{
    return value && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0 ||
                     strcmp(value, "True") == 0 || strcmp(value, "TRUE") == 0);
}
