// SPDX-License-Identifier: Apache-2.0
// The image `host`: a curated view of this machine. Layer: engine.
#pragma once

#include "engine/cachedir.h"
#include "engine/image.h"

/*
 * Layers and environment of the view, built if what it was made from has changed. host is the path
 * of the machine's root as a prefix: "" but in tests. flags as in image.h.
 */
int hostview_open(const char *host, uint32_t flags, const struct cachedir *cache,
                  struct deadline deadline, struct image *ret_image, struct sbx_error *err);
