// SPDX-License-Identifier: Apache-2.0
// Writes tar archives as nobody honest would: every field is the caller's. POSIX.1-1988 headers.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tar_entry {
    const char *name; // up to 100 bytes; longer ones come as a GNU long name
    char type;        // '0' file, '1' hard link, '2' link, '3' '4' devices, '5' directory, '6' fifo
    const char *link; // target of links
    const char *data; // of files
    size_t size;      // of data; 0: strlen(data)
    unsigned mode;    // 0: 0644, or 0755 for directories
    unsigned uid, gid;
    uint64_t claim; // size in the header instead of the true one
};

struct tar_writer {
    int fd;
};

void tar_put(const struct tar_writer *tar, const struct tar_entry *entry);

// A pax header in front of the next entry: one record "NAME=VALUE", VALUE of any bytes.
void tar_put_pax(const struct tar_writer *tar, const char *name, const void *value, size_t size);

void tar_put_raw(const struct tar_writer *tar, const void *data, size_t size);
void tar_end(const struct tar_writer *tar);
