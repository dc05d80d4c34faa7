// SPDX-License-Identifier: Apache-2.0
// Trees kept in the cache directory are removed when nobody has used them for long. Layer: engine.
#pragma once

#include <stdbool.h>
#include <time.h>

#include "engine/cachedir.h"

struct prune_item {
    char name[96];
    time_t used; // last time, to the hour
};

struct prune_rule {
    size_t newest; // so many of those used last stay
    time_t since;  // and those used since
    time_t dead;   // but never those that were used last before this
};

// When new ones are made: the three used last stay, and those of the last week (of very many: day).
struct prune_rule prune_rule_making(size_t count);
// When somebody asks: what was used in the last two hours stays, for whoever is just at it, and
// unless `all`, the one used last.
struct prune_rule prune_rule_asked(bool all);

/*
 * Removes items, directories in cache, on which no living sandbox of this account stands, by the
 * rule. Changes their order. One is first renamed to NAME.new, which may stay if we are killed.
 * Returns how many went.
 */
size_t prune_items(const struct cachedir *cache, struct prune_item *items, size_t count,
                   const struct prune_rule *rule);
