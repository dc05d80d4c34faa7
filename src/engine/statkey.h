// SPDX-License-Identifier: Apache-2.0
// A short name for the state of some files: a hash over their identity, size and times. Layer:
// engine.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define STATKEY_SIZE 17 // of the name, NUL included

struct statkey {
    uint64_t hash;
};
#define STATKEY_INIT                                                                               \
    {                                                                                              \
        14695981039346656037u                                                                      \
    }

void statkey_add(struct statkey *key, const void *data, size_t size);
void statkey_add_text(struct statkey *key, const char *text);
void statkey_add_stat(struct statkey *key, const struct stat *info); // NULL: not there
void statkey_name(const struct statkey *key, char ret_name[STATKEY_SIZE]);
