// SPDX-License-Identifier: Apache-2.0
// An archive's entries made files beneath a directory, by rules of our own. Layer: engine.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/unpack/path.h"

struct archive;
struct input;

#define EXTRACT_ENTRIES_MAX 2000000
#define EXTRACT_DIRS_BYTES_MAX (96u << 20) // memory for names of directories, whose modes come last

struct extract {
    struct archive *archive;
    struct input *input; // that the archive reads, or NULL
    struct path_walk walk;
    bool owners; // are kept
    bool layer;  // of an image: protocol.h says how whiteouts are kept; it may be empty
    uint64_t bytes_max;
    uint64_t bytes;
    uint64_t entries;
    struct sbx_error *err;
    struct extract_dir *dirs;
    size_t dir_count, dir_capacity, dir_bytes;
};

/*
 * Unpacks all entries; the umask is 0. Errors: INVALID (the archive is damaged or does what no
 * honest one does: the message says which entry, and what), QUOTA (too large, or the disk is full),
 * IO, NOMEM.
 */
int extract_all(struct extract *extract);
void extract_deinit(struct extract *extract);

// libarchive's own failure as ours.
int extract_unreadable(struct archive *archive, struct sbx_error *err);
