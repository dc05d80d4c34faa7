// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the nearest of some names. Layer: base.
#pragma once

#include <stddef.h>

// Edits (insert, delete, replace, swap neighbours) from one name to the other. Names longer than 63
// bytes are as far apart as can be: SIZE_MAX.
size_t suggest_distance(const char *a, const char *b);

// Keeps the nearest name seen so far. Zero-initialised but for `wanted`.
struct suggest {
    const char *wanted;
    const char *best; // borrowed; NULL while nothing is near enough to be meant
    size_t distance;
};

void suggest_offer(struct suggest *suggest, const char *name);
