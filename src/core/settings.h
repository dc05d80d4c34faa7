// SPDX-License-Identifier: Apache-2.0
// The settings of one provider: the table [provider.NAME] of the configuration. Layer: core.
#pragma once

#include <sandboxes/provider.h>

#include "core/config.h"

struct sbx_settings {
    const struct config *config;     // borrowed from the client
    char table[CONFIG_NAME_MAX + 1]; // "provider.NAME"
};

void settings_init(struct sbx_settings *settings, const struct config *config,
                   const char *provider);

// An integer setting between least and most, `fallback` when it is absent. INVALID names file and
// line.
int settings_integer(const struct sbx_settings *settings, const char *key, int64_t fallback,
                     int64_t least, int64_t most, int64_t *ret_value, struct sbx_error *err);

// INVALID, naming file and line, when the table has a key that is not one of these.
int settings_only(const struct sbx_settings *settings, const char *const *keys, size_t count,
                  struct sbx_error *err);
