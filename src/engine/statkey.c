// SPDX-License-Identifier: Apache-2.0
// FNV-1a, with a final mix: names of caches, nothing that must withstand an attacker. Layer:
// engine.
#include "engine/statkey.h"

#include <stdio.h>
#include <string.h>

void statkey_add(struct statkey *key, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        key->hash = (key->hash ^ bytes[i]) * 1099511628211u;
}

void statkey_add_text(struct statkey *key, const char *text)
{
    statkey_add(key, text, strlen(text) + 1);
}

void statkey_add_stat(struct statkey *key, const struct stat *info)
{
    uint64_t facts[8] = {0};
    if (info) {
        facts[0] = 1;
        facts[1] = info->st_dev;
        facts[2] = info->st_ino;
        facts[3] = (uint64_t)info->st_size;
        facts[4] = info->st_mode;
        facts[5] = (uint64_t)info->st_mtim.tv_sec;
        facts[6] = (uint64_t)info->st_mtim.tv_nsec;
        facts[7] = (uint64_t)info->st_ctim.tv_sec * 1000000000u + (uint64_t)info->st_ctim.tv_nsec;
    }
    statkey_add(key, facts, sizeof(facts));
}

void statkey_name(const struct statkey *key, char ret_name[STATKEY_SIZE])
{
    uint64_t mixed = key->hash;
    mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccdu;
    mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53u;
    snprintf(ret_name, STATKEY_SIZE, "%016llx", (unsigned long long)(mixed ^ (mixed >> 33)));
}
