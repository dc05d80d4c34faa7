// SPDX-License-Identifier: Apache-2.0
// The configuration file: what is accepted is text of the promised form.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "core/config.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct config *config, const struct config_entry *entry)
{
    CHECK(entry->key[0] && strlen(entry->key) <= CONFIG_NAME_MAX);
    CHECK(strlen(entry->table) <= CONFIG_NAME_MAX);
    CHECK(config_find(config, entry->table, entry->key) == entry);
    if (entry->kind == CONFIG_INTEGER)
        CHECK(text_of(entry->value, "-" TEXT_DIGITS, 19));
    if (entry->kind == CONFIG_BOOLEAN)
        CHECK(strcmp(entry->value, "true") == 0 || strcmp(entry->value, "false") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct sbx_error err;
    memset(&err, 0, sizeof(err));
    if (config_parse("f", (const char *)data, size, &config, &err) < 0) {
        CHECK(err.code == SBX_ERR_INVALID && strncmp(err.message, "f:", 2) == 0);
        return 0;
    }
    CHECK(config.count <= CONFIG_ENTRIES_MAX);
    for (size_t i = 0; i < config.count; i++)
        check_entry(&config, &config.entries[i]);
    config_deinit(&config);
    return 0;
}
