// SPDX-License-Identifier: Apache-2.0
// A directory with a root file system in it as an image. Layer: engine.
#pragma once

#include "engine/cachedir.h"
#include "engine/image.h"

/*
 * The directory as it is, below a small layer of ours with what a sandbox relies on: mount points,
 * names, the account `user`. name is what the user called it, for messages; path is absolute.
 */
int basetree_open(const char *name, const char *path, const struct cachedir *cache,
                  struct deadline deadline, struct image *ret_image, struct sbx_error *err);
