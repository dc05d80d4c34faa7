// SPDX-License-Identifier: Apache-2.0
// Images of layers: from registries, and saved ones. Layer: engine.
#pragma once

#include <stdbool.h>

#include "engine/cachedir.h"
#include "engine/image.h"
#include "engine/imagerecord.h"

/*
 * The image of this name: from the store, fetched first if it is not there. It stays in the store
 * until the image is deinitialised; later a sandbox must stand on it. flags: enum image_flags.
 */
int pulled_open(const char *name, uint32_t flags, const struct cachedir *cache,
                struct deadline deadline, struct image *ret_image, struct sbx_error *err);

// Whether a directory is a saved image (OCI layout, or what `docker save` wrote), not a root.
bool pulled_is_saved(const char *path);
// As pulled_open() of such a directory. shown: what the user called it.
int pulled_open_saved(const char *shown, const char *path, const struct cachedir *cache,
                      struct deadline deadline, struct image *ret_image, struct sbx_error *err);

// What is known of an image by the name that a sandbox was made with. NOT_FOUND for what has no
// settings of its own (`host`, a directory, an archive), and for what is not in the store.
int pulled_record(const char *image, struct imagerecord *ret_record, struct sbx_error *err);
