// SPDX-License-Identifier: Apache-2.0
// A provider's settings, of the environment and of its table of the configuration. Header only,
// since the library itself asks too whether a provider is configured. Layer: net.
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sandboxes/provider.h>

// The environment's value if it is not empty, else the setting's (the other way round where
// settings come first); NULL if neither is there.
static inline const char *keys_get(const struct sbx_settings *settings, const char *env,
                                   const char *key)
{
    const char *outer = env ? getenv(env) : NULL;
    const char *own = key ? sbx_settings_get(settings, key) : NULL;
    bool has_outer = outer && outer[0], has_own = own && own[0];
    if (has_outer && !(has_own && sbx_settings_first(settings)))
        return outer;
    return has_own ? own : NULL;
}

static inline int keys_true(const char *value)
{
    return value && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0 ||
                     strcmp(value, "True") == 0 || strcmp(value, "TRUE") == 0);
}
