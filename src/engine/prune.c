// SPDX-License-Identifier: Apache-2.0
// Removing what is not used, carefully: a sandbox may still stand on it. Layer: engine.
#include "engine/prune.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/tree.h"
#include "engine/store.h"

#define KEEP_NEWEST 3
#define DAY ((time_t)24 * 3600)
#define KEEP_DAYS 7
#define MANY 24 // then those unused for a day may go

static int newest_first(const void *a, const void *b)
{
    time_t left = ((const struct prune_item *)a)->used,
           right = ((const struct prune_item *)b)->used;
    return left < right ? 1 : left > right ? -1 : 0;
}

// Whether a living sandbox that we can see stands on it.
static bool in_use(const struct cachedir *cache, const char *name, const struct record *boxes,
                   size_t count)
{
    char tree[PATH_MAX];
    size_t length = (size_t)snprintf(tree, sizeof(tree), "%s/%s", cache->path, name);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < boxes[i].spec.layer_count; k++) {
            const char *layer = boxes[i].spec.layers[k].value;
            if (strncmp(layer, tree, length) == 0 && (!layer[length] || layer[length] == '/'))
                return true;
        }
    return false;
}

static void remove_item(const struct cachedir *cache, const char *name)
{
    char gone[NAME_MAX + 8];
    // Out of sight first: nobody may find half of it.
    snprintf(gone, sizeof(gone), "%s.new", name);
    if (renameat(cache->fd, name, cache->fd, gone) == 0)
        tree_remove(cache->fd, gone);
}

// Removes those that were not used since, and that no sandbox stands on.
static void remove_unused(const struct cachedir *cache, const struct prune_item *items,
                          size_t count, time_t since)
{
    cleanup_store struct store store = {.fd = -1};
    struct record *boxes = NULL;
    size_t box_count = 0;
    if (store_open(&store, NULL) < 0 || store_list(&store, NULL, 0, &boxes, &box_count, NULL) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (items[i].used < since && !in_use(cache, items[i].name, boxes, box_count))
            remove_item(cache, items[i].name);
    store_list_free(boxes, box_count);
}

void prune_items(const struct cachedir *cache, struct prune_item *items, size_t count)
{
    qsort(items, count, sizeof(*items), newest_first);
    time_t since = time(NULL) - (count > MANY ? DAY : KEEP_DAYS * DAY);
    // Usually even the oldest is younger, and nothing is left to look after.
    if (count > KEEP_NEWEST && items[count - 1].used < since)
        remove_unused(cache, items + KEEP_NEWEST, count - KEEP_NEWEST, since);
}
