// SPDX-License-Identifier: Apache-2.0
/*
 * Rules of the network mode `allow`: "example.com", "*.example.com", "1.2.3.4", "1.2.3.0/24", each
 * with an optional ":port". "*.example.com" is every name below, not example.com itself. Used where
 * a spec is checked early and by the network stack, which obeys them. Layer: base.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define NETRULES_MAX 1024
#define NETRULES_NAME_MAX 253

struct netrule {
    char *name;          // lower case, without a last dot; NULL: by number
    bool below;          // "*.": every name below `name`
    uint32_t addr, mask; // host byte order; by number only
    uint16_t port;       // 0: any
};

struct netrules {
    size_t count;
    struct netrule rule[];
};

int netrules_parse(const char *const *texts, size_t count, struct netrules **ret,
                   struct sbx_error *err);
void netrules_free(struct netrules *rules);

static inline void cleanup_netrules_fn(struct netrules **rules)
{
    netrules_free(*rules);
}
#define cleanup_netrules cleanup(cleanup_netrules_fn)

// Whether a rule by number covers it. Port 0 asks for what has no ports: only rules for any port
// do.
bool netrules_cover(const struct netrules *rules, uint32_t addr, uint16_t port);

// Whether this rule is for the name: lower case, without a last dot.
bool netrule_names(const struct netrule *rule, const char *name);
