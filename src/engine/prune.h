// SPDX-License-Identifier: Apache-2.0
// Trees kept in the cache directory are removed when nobody has used them for long. Layer: engine.
#pragma once

#include <time.h>

#include "engine/cachedir.h"

struct prune_item {
    char name[96];
    time_t used; // last time
};

/*
 * Removes of the items, directories in cache, those that were not used in the last week (of very
 * many: day), but the three used last and those that a living sandbox of this account stands on.
 * Changes their order. One is first renamed to NAME.new, which may stay if we are killed.
 */
void prune_items(const struct cachedir *cache, struct prune_item *items, size_t count);
