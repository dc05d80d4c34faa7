// SPDX-License-Identifier: Apache-2.0
// Growing the lists of struct image. Layer: engine.
#pragma once

#include "engine/image.h"

// Copies of the strings are added. 0 or NOMEM.
int imagelist_add_layer(struct image *image, const char *target, const char *path,
                        struct sbx_error *err);
int imagelist_add_env(struct image *image, const char *name, const char *value,
                      struct sbx_error *err);
