// SPDX-License-Identifier: Apache-2.0
/*
 * Tar archives as they travel to and from sandboxes whose service moves single files: ustar with
 * GNU's long names to write; these and pax records to read. What is read is hostile. Layer: net.
 */
#pragma once

#include <sandboxes/files.h>

#include "base/buf.h"

#define TAR_BLOCK 512
#define TAR_PATH_MAX 4096

struct tar_entry {
    char path[TAR_PATH_MAX]; // as it stands in the archive
    char link[TAR_PATH_MAX]; // of a symbolic link
    uint64_t size;           // of a regular file
    int64_t modified_s;
    uint32_t kind; // enum sbx_file_kind; OTHER is to be skipped, with its `size` bytes
    uint32_t mode; // 07777
};

// Appends an entry's blocks; its contents follow, filled up to whole blocks with tar_padding()
// zeros.
void tar_put(struct buf *out, const struct tar_entry *entry);
static inline size_t tar_padding(uint64_t size)
{
    return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}
void tar_put_end(struct buf *out);

// Where an archive comes from: up to `size` bytes, 0 at its end.
typedef int tar_read_fn(void *payload, void *data, size_t size, size_t *ret_size,
                        struct sbx_error *err);
struct tar_source {
    tar_read_fn *read;
    void *payload;
};

// The next entry; *ret_more false at the end. Its contents must then be read, padding included.
int tar_get(const struct tar_source *source, struct tar_entry *ret_entry, bool *ret_more,
            struct sbx_error *err);
// All `size` bytes or an error.
int tar_read(const struct tar_source *source, void *data, size_t size, struct sbx_error *err);
int tar_skip(const struct tar_source *source, uint64_t size, struct sbx_error *err);
