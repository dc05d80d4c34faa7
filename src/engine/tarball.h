// SPDX-License-Identifier: Apache-2.0
// An archive with a root file system in it as an image. Layer: engine.
#pragma once

#include "engine/cachedir.h"
#include "engine/image.h"

/*
 * Unpacks the archive once and keeps the tree under its digest; the next time costs a look at the
 * file. name is what the user called it, for messages; path is absolute.
 */
int tarball_open(const char *name, const char *path, const struct cachedir *cache,
                 struct deadline deadline, struct image *ret_image, struct sbx_error *err);

// Removes unpacked archives by prune_rule_asked() (prune.h), and what killed unpackers left.
// Returns how many went.
size_t tarball_clear(const struct cachedir *cache, bool all);
