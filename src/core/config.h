// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration file: a strict subset of TOML 1.0 (https://toml.io): comments, tables with
 * dotted names, bare keys, basic and literal strings on one line, decimal integers, booleans,
 * arrays of strings. Everything else of TOML is refused with file and line, never guessed at.
 * Layer: core.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define CONFIG_SIZE_MAX (256 * 1024)
#define CONFIG_ENTRIES_MAX 1024
#define CONFIG_NAME_MAX 128 // bytes of a key or a table's dotted name

enum config_kind { CONFIG_STRING, CONFIG_INTEGER, CONFIG_BOOLEAN, CONFIG_LIST };

struct config_entry {
    char *table; // "" for the keys before the first table
    char *key;
    char *value; // decimal; "true" or "false"; the strings of a list each followed by a newline
    enum config_kind kind;
    unsigned line;
};

struct config {
    struct config_entry *entries; // in the file's order
    size_t count;
    char *path; // NULL when there is no file
    bool first; // its settings of providers come before those of the environment
};

// The file at path, or the default one when path is NULL, which may be absent: config is empty
// then. Errors: NOT_FOUND (path was given), INVALID (contents; others may write to it), IO, NOMEM.
int config_load(const char *path, struct config *ret_config, struct sbx_error *err);

// As config_load for contents in memory; path is for messages.
int config_parse(const char *path, const char *text, size_t size, struct config *ret_config,
                 struct sbx_error *err);
void config_deinit(struct config *config);

const struct config_entry *config_find(const struct config *config, const char *table,
                                       const char *key);
