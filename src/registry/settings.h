// SPDX-License-Identifier: Apache-2.0
// The table [images] of the configuration: where registries are reached. Layer: registry.
#pragma once

#include <stdbool.h>

#include "core/config.h"

#define PLACES_MAX 8
#define PLACE_SIZE 320

// A place that answers for a registry: a mirror, or the registry itself.
struct place {
    char base[PLACE_SIZE]; // "https://registry-1.docker.io"
    char host[PLACE_SIZE]; // whose credentials are used
};

/*
 * Where to ask for images of a registry, in order: its mirrors, then itself. INVALID for what the
 * configuration says wrongly.
 */
int settings_places(const struct config *config, const char *host,
                    struct place ret_places[PLACES_MAX], size_t *ret_count, struct sbx_error *err);
