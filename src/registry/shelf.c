// SPDX-License-Identifier: Apache-2.0
// Looking over the store and clearing it. Layer: registry.
#include "registry/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/tree.h"
#include "engine/delta.h"
#include "engine/imagefresh.h"
#include "engine/store.h"
#include "engine/tarball.h"
#include "engine/view.h"

static bool is_hex(const char *name)
{
    return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

void shelf_list_free(struct shelf_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        imagerecord_deinit(&list->items[i]);
    free(list->items);
    *list = (struct shelf_list){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct imagerecord *)a)->name, ((const struct imagerecord *)b)->name);
}

static int add(struct shelf_list *list, const struct puller *puller, const char *file,
               struct sbx_error *err)
{
    struct imagerecord record = {0};
    int rc = imagerecord_read_file(&puller->store, file, &record, err);
    if (rc == SBX_ERR_NOT_FOUND || rc == SBX_ERR_INVALID)
        return 0; // removed meanwhile, or damaged: worth nothing
    if (rc < 0)
        return rc;
    struct imagerecord *grown = reallocarray(list->items, list->count + 1, sizeof(*grown));
    if (!grown) {
        imagerecord_deinit(&record);
        return err_nomem(err);
    }
    list->items = grown;
    list->items[list->count++] = record;
    return 0;
}

int shelf_list(const struct puller *puller, struct shelf_list *ret_list, struct sbx_error *err)
{
    cleanup_shelf_list struct shelf_list list = {0};
    cleanup_dir DIR *dir = dir_open(puller->store.records_fd, ".");
    int rc = dir ? 0 : err_sys(err, 0, errno, "cannot read %s/records", puller->store.path);
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir));)
        if (is_hex(entry->d_name))
            rc = add(&list, puller, entry->d_name, err);
    if (rc < 0)
        return rc;
    if (list.count > 1)
        qsort(list.items, list.count, sizeof(*list.items), by_name);
    *ret_list = list;
    list = (struct shelf_list){0};
    return 0;
}

int shelf_find(const struct puller *puller, const char *name, struct imagerecord *ret_record,
               struct sbx_error *err)
{
    char whole[IMAGEREF_NAME_SIZE];
    int rc = imageref_whole(name, whole, err);
    if (rc == 0)
        rc = imagerecord_read(&puller->store, whole, ret_record, err);
    if (rc == SBX_ERR_NOT_FOUND) {
        err_set(err, SBX_ERR_NOT_FOUND, "there is no image '%s' here", name);
        return err_hint(err, "see which there are: sandboxes image list");
    }
    return rc;
}

int shelf_remove(const struct puller *puller, const char *name, struct sbx_error *err)
{
    char whole[IMAGEREF_NAME_SIZE];
    int rc = imageref_whole(name, whole, err);
    return rc < 0 ? rc : imagerecord_remove(&puller->store, whole, err);
}

// --- Clearing

struct boxes {
    struct record *items;
    size_t count;
};

static int list_boxes(struct boxes *ret_boxes, struct sbx_error *err)
{
    cleanup_store struct store store = {.fd = -1};
    int rc = store_open(&store, err);
    return rc < 0 ? rc : store_list(&store, NULL, 0, &ret_boxes->items, &ret_boxes->count, err);
}

static bool is_beneath(const char *layer, const char *path)
{
    size_t length = strlen(path);
    return strncmp(layer, path, length) == 0 && (!layer[length] || layer[length] == '/');
}

// folder: "trees" or "deltas".
static bool stands_on(const struct boxes *boxes, const struct imagestore *store, const char *folder,
                      const char *hex)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s/%s", store->path, folder, hex);
    for (size_t i = 0; i < boxes->count; i++)
        for (size_t k = 0; k < boxes->items[i].spec.layer_count; k++)
            if (is_beneath(boxes->items[i].spec.layers[k].value, path))
                return true;
    return false;
}

static bool is_used(const struct boxes *boxes, const struct imagestore *store,
                    const struct imagerecord *record)
{
    return imagerecord_is_snapshot(record) ? stands_on(boxes, store, "deltas", record->delta)
                                           : stands_on(boxes, store, "trees", record->tree);
}

static bool needs_tree(const struct shelf_list *list, const char *hex)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].tree, hex) == 0)
            return true;
    return false;
}

static bool needs_layer(const struct shelf_list *list, const char *hex)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < list->items[i].layers.count; k++)
            if (strcmp(list->items[i].layers.items[k], hex) == 0)
                return true;
    return false;
}

static size_t clear_trees(const struct puller *puller, const struct shelf_list *list,
                          const struct boxes *boxes)
{
    size_t count = 0;
    cleanup_dir DIR *dir = dir_open(puller->store.trees_fd, ".");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (name[0] == '.' || (is_hex(name) && (needs_tree(list, name) ||
                                                stands_on(boxes, &puller->store, "trees", name))))
            continue;
        count += tree_drop(puller->store.trees_fd, name) == 0 && is_hex(name);
    }
    return count;
}

static size_t clear_layers(const struct puller *puller, const struct shelf_list *list)
{
    size_t count = 0;
    cleanup_dir DIR *dir = dir_open(puller->store.layers_fd, ".");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (name[0] == '.' || (is_hex(name) && needs_layer(list, name)))
            continue;
        count += tree_drop(puller->store.layers_fd, name) == 0 && is_hex(name);
    }
    return count;
}

static void clear_records(const struct puller *puller)
{
    cleanup_dir DIR *dir = dir_open(puller->store.records_fd, ".");
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && !is_hex(entry->d_name))
            unlinkat(puller->store.records_fd, entry->d_name, 0);
}

static size_t forget(const struct puller *puller, struct shelf_list *list,
                     const struct boxes *boxes)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (!is_used(boxes, &puller->store, &list->items[i]) &&
            imagerecord_remove(&puller->store, list->items[i].name, NULL) == 0)
            count++;
    return count;
}

static void clear_views(bool all, struct shelf_freed *freed)
{
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    if (cachedir_open(&cache, NULL) < 0)
        return;
    freed->archives = tarball_clear(&cache, all);
    freed->views = view_clear(&cache, all);
}

int shelf_prune(const struct puller *puller, bool all, bool views, struct shelf_freed *ret_freed,
                struct sbx_error *err)
{
    cleanup_shelf_list struct shelf_list list = {0};
    cleanup_fd int hold = -1;
    struct boxes boxes = {0};
    struct shelf_freed freed = {0};
    int rc = imagestore_hold(&puller->store, true, puller->deadline, &hold, err);
    if (rc == 0)
        rc = list_boxes(&boxes, err);
    if (rc == 0)
        imagefresh_settle(&puller->store);
    if (rc == 0)
        rc = shelf_list(puller, &list, err);
    if (rc == 0 && all) {
        freed.images = forget(puller, &list, &boxes);
        shelf_list_free(&list);
        rc = shelf_list(puller, &list, err);
    }
    if (rc == 0) {
        freed.snapshots = delta_clear(&puller->store);
        freed.trees = clear_trees(puller, &list, &boxes);
        freed.layers = clear_layers(puller, &list);
        clear_records(puller);
        imagefresh_clear(&puller->store);
        if (views)
            clear_views(all, &freed);
        *ret_freed = freed;
    }
    store_list_free(boxes.items, boxes.count);
    return rc;
}
