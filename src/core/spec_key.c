// SPDX-License-Identifier: Apache-2.0
// Whether a sandbox made for one specification serves for another. Layer: core.
#include "core/spec_key.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static void add_number(struct sha256 *hash, uint64_t value)
{
    sha256_update(hash, &value, sizeof(value));
}

// With its size, so that no two lists of texts look the same. NULL differs from "".
static void add_text(struct sha256 *hash, const char *text)
{
    add_number(hash, text ? strlen(text) : UINT64_MAX);
    if (text)
        sha256_update(hash, text, strlen(text));
}

// Equal names keep their order: the later variable of a name may be the one that counts.
static int compare_pairs(const void *a, const void *b)
{
    const struct sbx_pair *x = *(const struct sbx_pair *const *)a;
    const struct sbx_pair *y = *(const struct sbx_pair *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

static int add_pairs(struct sha256 *hash, const struct sbx_pair *pairs, size_t count,
                     struct sbx_error *err)
{
    add_number(hash, count);
    if (!count)
        return 0;
    cleanup_free const struct sbx_pair **sorted = malloc(count * sizeof(*sorted));
    if (!sorted)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &pairs[i];
    qsort(sorted, count, sizeof(*sorted), compare_pairs);
    for (size_t i = 0; i < count; i++) {
        add_text(hash, sorted[i]->name);
        add_text(hash, sorted[i]->value);
    }
    return 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_set(struct sha256 *hash, const char *const *texts, size_t count,
                   struct sbx_error *err)
{
    add_number(hash, count);
    if (!count)
        return 0;
    cleanup_free const char **sorted = malloc(count * sizeof(*sorted));
    if (!sorted)
        return err_nomem(err);
    memcpy(sorted, texts, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_texts);
    for (size_t i = 0; i < count; i++)
        add_text(hash, sorted[i]);
    return 0;
}

static void add_scalars(struct sha256 *hash, const struct sbx_spec *spec)
{
    const char *const texts[] = {spec->image, spec->user, spec->workdir, spec->hostname, spec->gpu};
    const uint64_t numbers[] = {spec->memory_bytes, spec->disk_bytes,     spec->cpu_millis,
                                spec->max_pids,     spec->max_open_files, (uint64_t)spec->ttl_ms,
                                spec->network};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        add_text(hash, texts[i]);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        add_number(hash, numbers[i]);
}

// The order of mounts counts: one may lie beneath another.
static void add_places(struct sha256 *hash, const struct sbx_spec *spec)
{
    add_number(hash, spec->mount_count);
    for (size_t i = 0; i < spec->mount_count; i++) {
        add_text(hash, spec->mounts[i].source);
        add_text(hash, spec->mounts[i].target);
        add_number(hash, spec->mounts[i].flags);
    }
    add_number(hash, spec->port_count);
    for (size_t i = 0; i < spec->port_count; i++) {
        add_number(hash, spec->ports[i].port);
        add_number(hash, spec->ports[i].host_port);
    }
}

int spec_key(const struct sbx_spec *spec, const struct names *names, uint8_t ret_key[SHA256_SIZE],
             struct sbx_error *err)
{
    struct sha256 hash;
    sha256_init(&hash);
    add_number(&hash, names->count);
    for (size_t i = 0; i < names->count; i++)
        add_text(&hash, names->items[i]);
    add_scalars(&hash, spec);
    add_places(&hash, spec);
    int code = add_set(&hash, spec->allow, spec->allow_count, err);
    if (code == 0)
        code = add_pairs(&hash, spec->env, spec->env_count, err);
    if (code == 0)
        code = add_pairs(&hash, spec->labels, spec->label_count, err);
    if (code == 0)
        sha256_final(&hash, ret_key);
    return code;
}
