// SPDX-License-Identifier: Apache-2.0
/*
 * Copies one writable layer of a sandbox, laid over the one of an earlier snapshot if there is one,
 * so that the result can be a lower layer of overlayfs. Layer: engine.
 *
 * The layer is of the sandbox's making: each step is relative to an opened directory and follows no
 * link, what is neither a file, a directory, a link nor a fifo is left out, and there is a ceiling
 * on bytes, entries, depth and memory. Nobody else works in the other two trees.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/sha256.h"

#define KEEP_ENTRIES_MAX 2000000
#define KEEP_DEPTH_MAX 256
#define KEEP_NAMES_MAX (512u << 20) // of the directories that are open at once
#define KEEP_PIECE (1u << 20)
#define KEEP_IDS 65536

struct keep {
    uint64_t bytes_max, bytes, entries;
    uint32_t base; // with real root: first id of the sandbox here
    bool owners;   // with real root: owners are kept, and attributes of overlayfs are "trusted."
    bool hash, still;
    struct sha256 sum; // of all that is kept
    size_t names_bytes;
    char *piece;  // KEEP_PIECE bytes
    int links_fd; // directory with a name for each file that has several, by its number
    struct sbx_error *err;
};

// upper: of the sandbox; old: of an earlier snapshot, or -1; target: empty. first: it is the
// root's.
int keep_layer(struct keep *keep, int upper, int old, int target, bool first);

// --- Of the parts to each other

// The error for something in the layer, by its last name.
int keep_fail(struct keep *keep, const char *name);
int keep_refuse(struct keep *keep, int code, const char *name, const char *why);

// A file's contents and facts, or its earlier copy if it has several names.
int keep_file(struct keep *keep, int from, int to, const char *name, const struct stat *info);

// Owner, mode, times and user attributes. `ours`: `info` is of the store, not of the sandbox.
int keep_facts(struct keep *keep, int from, int to, const char *name, const struct stat *info,
               bool ours);
int keep_owner_at(struct keep *keep, int to, const char *name, const struct stat *info);

// Whether a directory hides what the layers below have at its place.
bool keep_is_opaque(const struct keep *keep, int fd);
int keep_make_opaque(struct keep *keep, int fd, const char *name);

// One entry's name and facts into the sum.
void keep_count(struct keep *keep, char kind, const char *name, const struct stat *info);
void keep_sum(struct keep *keep, const void *data, size_t size);
