// SPDX-License-Identifier: Apache-2.0
/*
 * Between the library and its helper that unpacks archives. The helper is started with descriptors
 * 0: the archive, 1: a pipe for its one answer, 3: the new empty directory, 4: the lock on it (held
 * while it lives); and one argument: the most bytes it may write. Layer: engine.
 */
#pragma once

#include <stdint.h>

#include <sandboxes/error.h>

#include "base/sha256.h"

#define UNPACK_PROGRAM "sandboxes-unpack"
#define UNPACK_DIR_FD 3
#define UNPACK_LOCK_FD 4

struct unpack_answer {
    struct sbx_error err; // code 0: all is there
    uint64_t bytes;
    uint64_t entries;
    char digest[SHA256_HEX_SIZE]; // of the archive's file
};
