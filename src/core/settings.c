// SPDX-License-Identifier: Apache-2.0
// The settings of one provider. Layer: core.
#include "core/settings.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void settings_init(struct sbx_settings *settings, const struct config *config, const char *provider)
{
    settings->config = config;
    snprintf(settings->table, sizeof(settings->table), "provider.%s", provider);
}

static const struct config_entry *find(const struct sbx_settings *settings, const char *key)
{
    return settings ? config_find(settings->config, settings->table, key) : NULL;
}

const char *sbx_settings_get(const struct sbx_settings *settings, const char *key)
{
    const struct config_entry *entry = key ? find(settings, key) : NULL;
    return entry ? entry->value : NULL;
}

uint32_t sbx_settings_first(const struct sbx_settings *settings)
{
    return settings && settings->config->first;
}

int settings_integer(const struct sbx_settings *settings, const char *key, int64_t fallback,
                     int64_t least, int64_t most, int64_t *ret_value, struct sbx_error *err)
{
    const struct config_entry *entry = find(settings, key);
    int64_t value = fallback;
    if (entry && entry->kind == CONFIG_INTEGER)
        value = strtoll(entry->value, NULL, 10);
    if (entry && (entry->kind != CONFIG_INTEGER || value < least || value > most))
        return err_set(err, SBX_ERR_INVALID,
                       "%s:%u: %s must be a number from %" PRId64 " to %" PRId64,
                       settings->config->path, entry->line, key, least, most);
    *ret_value = value;
    return 0;
}

static bool known(const char *key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

int settings_only(const struct sbx_settings *settings, const char *const *keys, size_t count,
                  struct sbx_error *err)
{
    const struct config *config = settings->config;
    for (size_t i = 0; i < config->count; i++) {
        const struct config_entry *entry = &config->entries[i];
        if (strcmp(entry->table, settings->table) != 0 || known(entry->key, keys, count))
            continue;
        err_set(err, SBX_ERR_INVALID, "%s:%u: [%s] has no setting '%s'", config->path, entry->line,
                entry->table, entry->key);
        return err_hint(err, "remove line %u of '%s'", entry->line, config->path);
    }
    return 0;
}
