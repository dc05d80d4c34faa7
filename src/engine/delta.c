// SPDX-License-Identifier: Apache-2.0
// Snapshots in the store: opened, and cleared away. Layer: engine.
#include "engine/delta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/sha256.h"
#include "base/tree.h"
#include "engine/basetree.h"
#include "engine/hostview.h"
#include "engine/imagelist.h"
#include "engine/store.h"

static int open_ground(const struct imagestore *store, const struct imagerecord *record,
                       const char *shown, uint32_t flags, const struct cachedir *cache,
                       struct deadline deadline, struct image *ret_image, struct sbx_error *err)
{
    char tree[PATH_MAX];
    if (record->tree[0]) {
        snprintf(tree, sizeof(tree), "%s/trees/%s", store->path, record->tree);
        return basetree_open(shown, tree, cache, deadline, ret_image, err);
    }
    if (record->base[0] == '/')
        return basetree_open(record->base, record->base, cache, deadline, ret_image, err);
    if (strcmp(record->base, "host-root") == 0)
        flags |= IMAGE_FOR_ROOT;
    return hostview_open("", flags, cache, deadline, ret_image, err);
}

// The number of the snapshot's layer for that place, or -1.
static int layer_for(const struct imagerecord *record, const char *target)
{
    for (size_t i = 0; i < record->over.count; i++)
        if (strcmp(record->over.items[i], target) == 0)
            return (int)i;
    return -1;
}

// Each of the snapshot's layers goes above those of the same place.
static int lay(const struct imagestore *store, const struct imagerecord *record,
               const struct image *ground, struct image *image, struct sbx_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ground->layer_count; i++) {
        const struct sbx_pair *layer = &ground->layers[i];
        bool first = i == 0 || strcmp(layer->name, ground->layers[i - 1].name) != 0;
        int number = first ? layer_for(record, layer->name) : -1;
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/deltas/%s/%d", store->path, record->delta, number);
        if (number >= 0)
            rc = imagelist_add_layer(image, layer->name, path, err);
        if (rc == 0)
            rc = imagelist_add_layer(image, layer->name, layer->value, err);
    }
    for (size_t i = 0; rc == 0 && i < ground->env_count; i++)
        rc = imagelist_add_env(image, ground->env[i].name, ground->env[i].value, err);
    return rc;
}

int delta_open(const struct imagestore *store, const struct imagerecord *record, const char *shown,
               uint32_t flags, const struct cachedir *cache, struct deadline deadline,
               struct image *ret_image, struct sbx_error *err)
{
    cleanup(image_deinit) struct image ground = {0};
    cleanup(image_deinit) struct image image = {0};
    if (strcmp(record->user, "root") == 0 || strcmp(record->user, "0") == 0)
        flags |= IMAGE_FOR_ROOT;
    int rc = open_ground(store, record, shown, flags, cache, deadline, &ground, err);
    if (rc < 0)
        return err_wrap(err, "what the snapshot '%s' was made of", shown);
    rc = lay(store, record, &ground, &image, err);
    if (rc < 0)
        return rc;
    *ret_image = image;
    image = (struct image){0};
    return 0;
}

// --- Clearing

typedef bool match_fn(const struct imagerecord *record, const char *text);

// Whether a record matches. One that can't be read might.
static bool any_record(const struct imagestore *store, match_fn *match, const char *text)
{
    cleanup_dir DIR *dir = dir_open(store->records_fd, ".");
    bool found = !dir;
    for (struct dirent *entry; !found && (entry = readdir(dir));) {
        cleanup_imagerecord struct imagerecord record = {0};
        if (strlen(entry->d_name) != IMAGERECORD_FILE_SIZE - 1)
            continue;
        int rc = imagerecord_read_file(store, entry->d_name, &record, NULL);
        found = rc == 0 ? match(&record, text) : rc != SBX_ERR_NOT_FOUND && rc != SBX_ERR_INVALID;
    }
    return found;
}

static bool has_delta(const struct imagerecord *record, const char *hex)
{
    return record->delta && strcmp(record->delta, hex) == 0;
}

static bool has_base(const struct imagerecord *record, const char *path)
{
    return record->base && strcmp(record->base, path) == 0;
}

bool delta_needs(const struct imagestore *store, const char *path)
{
    return any_record(store, has_base, path);
}

static bool is_stood_on(const struct imagestore *store, const char *hex, const struct record *boxes,
                        size_t count)
{
    char path[PATH_MAX];
    size_t length = (size_t)snprintf(path, sizeof(path), "%s/deltas/%s/", store->path, hex);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < boxes[i].spec.layer_count; k++)
            if (strncmp(boxes[i].spec.layers[k].value, path, length) == 0)
                return true;
    return false;
}

size_t delta_clear(const struct imagestore *store)
{
    cleanup_store struct store boxes_store = {.fd = -1};
    struct record *boxes = NULL;
    size_t box_count = 0, count = 0;
    cleanup_dir DIR *dir = dir_open(store->deltas_fd, ".");
    if (!dir || store_open(&boxes_store, NULL) < 0 ||
        store_list(&boxes_store, NULL, 0, &boxes, &box_count, NULL) < 0)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (name[0] == '.' || is_stood_on(store, name, boxes, box_count) ||
            any_record(store, has_delta, name))
            continue;
        count += tree_drop(store->deltas_fd, name) == 0;
    }
    store_list_free(boxes, box_count);
    return count;
}

void delta_clear_idle(const struct imagestore *store)
{
    cleanup_fd int hold = -1;
    struct sbx_error busy;
    if (imagestore_hold(store, true, deadline_in(1), &hold, &busy) == 0)
        (void)delta_clear(store);
}

const char *delta_among(const struct sbx_pair *layers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(layers[i].value, "/images" BOX_DELTAS))
            return layers[i].value;
    return NULL;
}

// The part after that, or NULL.
static const char *beneath(const struct imagestore *store, const char *layer)
{
    size_t length = strlen(store->path);
    if (strncmp(layer, store->path, length) != 0 ||
        strncmp(layer + length, BOX_DELTAS, strlen(BOX_DELTAS)) != 0)
        return NULL;
    return layer + length + strlen(BOX_DELTAS);
}

void delta_ended(const char *layer)
{
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    cleanup_imagestore struct imagestore store = IMAGESTORE_NONE;
    char hex[SHA256_HEX_SIZE];
    const char *name;
    if (cachedir_open(&cache, NULL) < 0 || imagestore_open(&cache, &store, NULL) < 0 ||
        !(name = beneath(&store, layer)))
        return;
    snprintf(hex, sizeof(hex), "%s", name);
    if (!any_record(&store, has_delta, hex))
        delta_clear_idle(&store);
}
