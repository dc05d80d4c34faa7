// SPDX-License-Identifier: Apache-2.0
/*
 * Between the library and its helper that unpacks archives. The helper is started with descriptors
 * 0: the archive, 1: a pipe for its one answer, 3: the new empty directory, 4: the lock on it (held
 * while it lives); and two arguments: the most bytes it may write, and "tree" for a root file
 * system or "layer" for a layer of one. Layer: engine.
 */
#pragma once

#include <stdint.h>

#include <sandboxes/error.h>

#include "base/sha256.h"

// How deletions stand in a layer (image-spec, layer.md): an entry `.wh.NAME`, and for all of a
// directory's earlier contents one in it.
#define UNPACK_WHITEOUT ".wh."
#define UNPACK_OPAQUE ".wh..wh..opq"
// Mode in an unpacked layer of a directory without an entry of its own: what lies below counts.
#define UNPACK_IMPLIED_MODE 01700

#define UNPACK_PROGRAM "sandboxes-unpack"
#define UNPACK_DIR_FD 3
#define UNPACK_LOCK_FD 4

struct unpack_answer {
    struct sbx_error err; // code 0: all is there
    uint64_t bytes;
    uint64_t entries;
    char digest[SHA256_HEX_SIZE]; // of the archive's file; of a layer: means nothing
};
