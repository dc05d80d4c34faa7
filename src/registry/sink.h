// SPDX-License-Identifier: Apache-2.0
// Where the bytes of a layer go: into the unpacker's pipe, hashed on the way. Layer: registry.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/sha256.h"

struct progress;

struct sink {
    int fd; // -1: hashed alone
    uint64_t size, most;
    bool refused; // the reader has gone; its answer says why
    struct sha256 hash;
    struct progress *progress; // or NULL
};

// PROTOCOL past `most`, IO when the reader has gone.
int sink_write(struct sink *sink, const void *data, size_t size, struct sbx_error *err);
