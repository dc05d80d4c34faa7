// SPDX-License-Identifier: Apache-2.0
/*
 * Images of layers on this machine. Under CACHE/images:
 *   layers/HEX   one layer unpacked, by the digest of its blob; whiteouts are files `.wh.NAME`
 *   trees/HEX    one image's root, by the digest of its configuration: its layers' files as hard
 *                links, whiteouts carried out
 *   deltas/HEX   what a sandbox changed: a snapshot's layers 0, 1, ... as overlayfs wants them, one
 *                for each place that it could write to, and `record`, which says over what
 *                (delta.h)
 *   records/KEY  what is known of one name (imagerecord.h); appears last
 *   fresh/       what may not be on the disk yet (imagefresh.h)
 *   in-use       flock(2)ed shared by whoever needs them to stay, alone by who removes
 * Each appears whole by a rename; NAME.new is one in the making, under the lock NAME.lock.
 *
 * One tree an image instead of an overlay of its layers: a sandbox starts as fast as from any
 * directory however many layers there are, no kernel's limit on them matters, and an ordinary user
 * needs no whiteout devices and no attributes of overlayfs. Contents are there once all the same.
 * Layer: engine.
 */
#pragma once

#include <stdbool.h>

#include "engine/cachedir.h"

struct imagestore {
    char path[PATH_MAX]; // CACHE/images
    int fd, layers_fd, trees_fd, deltas_fd, records_fd;
};

int imagestore_open(const struct cachedir *cache, struct imagestore *ret_store,
                    struct sbx_error *err);
void imagestore_close(struct imagestore *store);
#define cleanup_imagestore cleanup(imagestore_close)
#define IMAGESTORE_NONE                                                                            \
    {                                                                                              \
        .fd = -1, .layers_fd = -1, .trees_fd = -1, .deltas_fd = -1, .records_fd = -1               \
    }

// CACHE/images itself, which other kinds of images share. Nobody but us may enter: set-user-id
// programs of an image must mean nothing on this machine.
int imagestore_open_folder(const struct cachedir *cache, int *ret_fd, struct sbx_error *err);

// Nothing of the store is removed until *ret_fd is closed; `alone`: and nobody makes anything.
int imagestore_hold(const struct imagestore *store, bool alone, struct deadline deadline,
                    int *ret_fd, struct sbx_error *err);
