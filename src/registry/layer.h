// SPDX-License-Identifier: Apache-2.0
// One layer in the store, made once however many ask. Layer: registry.
#pragma once

#include "engine/imagestore.h"
#include "registry/manifest.h"
#include "registry/sink.h"

// Brings the layer's bytes, all of them, into the sink.
typedef int layer_fill_fn(void *payload, const struct descriptor *layer, struct sink *sink,
                          struct sbx_error *err);

struct layer_source {
    layer_fill_fn *fill;
    void *payload;
};

/*
 * Unpacks the layer into layers/HEX unless it is there: of all processes that ask, one does, the
 * others wait. Nothing appears before the whole blob has the right digest. Errors: PROTOCOL (other
 * size or digest), extract_all()'s and the source's.
 */
int layer_make(const struct imagestore *store, const struct descriptor *layer,
               const struct layer_source *source, struct progress *progress,
               struct deadline deadline, struct sbx_error *err);
