// SPDX-License-Identifier: Apache-2.0
// Images: what the root file system of a sandbox is made of. Layer: engine.
#pragma once

#include <sandboxes/types.h>

#include "base/clock.h"

/*
 * An image made ready on this machine. Layers as in box_spec: (target inside, directory here),
 * first target "/", equal neighbouring targets are layers of one overlay, topmost first.
 */
struct image {
    struct sbx_pair *layers; // owned, strings too
    size_t layer_count;
    struct sbx_pair *env; // defaults, PATH included; owned, strings too
    size_t env_count;
    char *workdir; // owned; NULL: the user's home
    char *user;    // owned; NULL: "user"
    int *hold_fd;  // owned; keeps what layers point to until a sandbox stands on it; NULL: nothing
};

enum image_flags {
    IMAGE_FOR_ROOT =
        1 << 0 // commands may be root of the sandbox, and want to change the system's files
};

/*
 * name: NULL or "host" (curated view of this machine); a path, which begins with '/' or '.', or has
 * a '/' and is there: of a directory, a tarball (gz, bz2, xz, zstd or none) or a saved image of
 * layers; else the name of an image in the store, which is fetched from its registry if it is
 * missing. Trees are kept under the cache directory, content-addressed, and made once even when
 * many ask at the same time. Errors: NOT_FOUND (unknown image), INVALID (a bad archive), SETUP,
 * QUOTA, IO, and a registry's: AUTH, DENIED, UNAVAILABLE, PROTOCOL.
 */
int image_open(const char *name, uint32_t flags, struct deadline deadline, struct image *ret_image,
               struct sbx_error *err);
void image_deinit(struct image *image);
