// SPDX-License-Identifier: Apache-2.0
/*
 * Manifests, indexes and configurations of images: OCI image-spec 1.1 and Docker's schema 2, which
 * differ in names alone. All of it is hostile. Layer: registry.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/imagerecord.h"
#include "engine/imageref.h"
#include "net/json.h"

#define MANIFEST_BYTES_MAX (4u << 20) // what registries take
#define CONFIG_BYTES_MAX (8u << 20)
#define LAYERS_MAX 256
#define MANIFEST_ACCEPT                                                                            \
    "application/vnd.oci.image.index.v1+json, "                                                    \
    "application/vnd.docker.distribution.manifest.list.v2+json, "                                  \
    "application/vnd.oci.image.manifest.v1+json, "                                                 \
    "application/vnd.docker.distribution.manifest.v2+json"

struct descriptor {
    char digest[IMAGEREF_DIGEST_SIZE];
    uint64_t size;
};

struct manifest {
    struct descriptor config;
    struct descriptor layers[LAYERS_MAX]; // lowest first
    size_t layer_count;
    uint64_t bytes; // of all layers
};

bool manifest_is_index(const struct jsonv *root);

// The manifest for Linux on this machine's processor. NOT_FOUND names the platforms there are.
int manifest_choose(const struct jsonv *index, struct descriptor *ret_chosen,
                    struct sbx_error *err);
int manifest_read(const struct jsonv *root, struct manifest *ret_manifest, struct sbx_error *err);

// What the image's configuration says, added to the record. UNSUPPORTED for another platform.
int manifest_read_config(const struct jsonv *config, struct imagerecord *record,
                         struct sbx_error *err);

// This machine's processor as images name it.
const char *manifest_architecture(void);
