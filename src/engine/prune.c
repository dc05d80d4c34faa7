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
#define MANY 24                      // then those unused for a day may go
#define JUST_USED ((time_t)2 * 3600) // uses are noted to the hour

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

static bool may_go(const struct prune_rule *rule, const struct prune_item *item, size_t rank)
{
    return item->used < rule->dead || (rank >= rule->newest && item->used < rule->since);
}

static size_t remove_unused(const struct cachedir *cache, const struct prune_item *items,
                            size_t count, const struct prune_rule *rule)
{
    cleanup_store struct store store = {.fd = -1};
    struct record *boxes = NULL;
    size_t box_count = 0, removed = 0;
    if (store_open(&store, NULL) < 0 || store_list(&store, NULL, 0, &boxes, &box_count, NULL) < 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (may_go(rule, &items[i], i) && !in_use(cache, items[i].name, boxes, box_count))
            removed += tree_drop(cache->fd, items[i].name) == 0;
    store_list_free(boxes, box_count);
    return removed;
}

struct prune_rule prune_rule_making(size_t count)
{
    return (struct prune_rule){.newest = KEEP_NEWEST,
                               .since = time(NULL) - (count > MANY ? DAY : KEEP_DAYS * DAY)};
}

struct prune_rule prune_rule_asked(bool all)
{
    return (struct prune_rule){.newest = all ? 0 : 1, .since = time(NULL) - JUST_USED};
}

size_t prune_items(const struct cachedir *cache, struct prune_item *items, size_t count,
                   const struct prune_rule *rule)
{
    qsort(items, count, sizeof(*items), newest_first);
    // Usually even the oldest is younger, and nothing is left to look after.
    return count > 0 && may_go(rule, &items[count - 1], count - 1)
               ? remove_unused(cache, items, count, rule)
               : 0;
}
