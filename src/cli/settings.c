// SPDX-License-Identifier: Apache-2.0
// Values that the command line left open. Layer: cli.
#include "cli/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"

// An empty variable counts as not set.
static int from_environment(struct opt_set *set, size_t row, struct sbx_error *err)
{
    char name[64];
    help_setting_name(&set->rows[row], name, sizeof(name));
    const char *value = getenv(name);
    return value && value[0] ? opt_set_value(set, row, value, name, err) : 0;
}

static int from_config(struct opt_set *set, size_t row, const struct config *config,
                       const char *table, struct sbx_error *err)
{
    const struct config_entry *entry = config_find(config, table, set->rows[row].name);
    if (!entry)
        return 0;
    char shown[256];
    snprintf(shown, sizeof(shown), "%s:%u: %s", config->path, entry->line, entry->key);
    if (entry->kind == CONFIG_LIST) {
        err_set(err, SBX_ERR_INVALID, "%s: a single value is wanted, not a list", shown);
        return err_hint(err, "leave out the brackets");
    }
    return opt_set_value(set, row, entry->value, shown, err);
}

static int apply_row(struct opt_set *set, size_t row, const struct config *config,
                     const char *table, struct sbx_error *err)
{
    if (!(set->rows[row].flags & OPT_SETTING) || opt_seen(set, row))
        return 0;
    int code = from_environment(set, row, err);
    if (code < 0 || opt_seen(set, row))
        return code;
    return from_config(set, row, config, table, err);
}

static bool is_setting(const char *name)
{
    for (size_t p = 0; p < COMMAND_PARTS_MAX && command_run.parts[p].title; p++)
        for (size_t i = 0; i < command_run.parts[p].count; i++) {
            const struct opt_row *row = &command_run.parts[p].rows[i];
            if ((row->flags & OPT_SETTING) && strcmp(row->name, name) == 0)
                return true;
        }
    return false;
}

static int check_names(const struct config *config, const char *table, struct sbx_error *err)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct config_entry *entry = &config->entries[i];
        if (strcmp(entry->table, table) != 0 || is_setting(entry->key))
            continue;
        err_set(err, SBX_ERR_INVALID, "%s:%u: unknown setting '%s.%s'", config->path, entry->line,
                table, entry->key);
        return err_hint(err, "'sandboxes help run' marks the options that may be settings");
    }
    return 0;
}

int settings_apply(struct cli *cli, struct invocation *use, const char *table,
                   struct config *ret_config, struct sbx_error *err)
{
    int code = config_load(cli->config_path, ret_config, err);
    if (code == 0)
        code = check_names(ret_config, table, err);
    for (size_t s = 0; code == 0 && s < use->set_count; s++)
        for (size_t i = 0; code == 0 && i < use->sets[s].count; i++)
            code = apply_row(&use->sets[s], i, ret_config, table, err);
    return code;
}
