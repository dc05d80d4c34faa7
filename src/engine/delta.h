// SPDX-License-Identifier: Apache-2.0
/*
 * Snapshots in the store: what a sandbox changed, over what it stood on. That is an image's tree,
 * which stays as long as the snapshot; or the view of this machine as it is when a sandbox is made
 * from it; or a directory as it is then. Layer: engine.
 */
#pragma once

#include "engine/image.h"
#include "engine/imagerecord.h"

#define DELTA_RECORD "record" // in a snapshot's directory: all but its name

// The image that the snapshot is. flags: enum image_flags. It stays while the store is held, later
// while a sandbox stands on it.
int delta_open(const struct imagestore *store, const struct imagerecord *record, const char *shown,
               uint32_t flags, const struct cachedir *cache, struct deadline deadline,
               struct image *ret_image, struct sbx_error *err);

// Whether a snapshot with a name is laid over this directory.
bool delta_needs(const struct imagestore *store, const char *path);

/*
 * Removes snapshots without a name on which no living sandbox of this account stands, and what
 * killed processes left. The store is held alone. Returns how many.
 */
size_t delta_clear(const struct imagestore *store);

// The same, if nobody uses the store just now.
void delta_clear_idle(const struct imagestore *store);

// The same when a sandbox with this layer has ended: if it was the files of a fork, which have no
// other use.
void delta_ended(const char *layer);

// The first of these layers that may be of a snapshot or fork, by its path; NULL: none.
const char *delta_among(const struct sbx_pair *layers, size_t count);
