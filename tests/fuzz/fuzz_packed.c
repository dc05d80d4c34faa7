// SPDX-License-Identifier: Apache-2.0
// Archives as they come, plain or compressed: the thread that decompresses ahead always ends, and
// has read all, whatever is made of what it hands over.
#include <archive.h>
#include <archive_entry.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/unpack/input.h"

#define MOST (4u << 20)
#define ENTRIES_MAX 1000

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_entries(struct archive *archive)
{
    struct archive_entry *entry;
    const void *block;
    size_t size, total = 0;
    la_int64_t offset;
    for (int i = 0; i < ENTRIES_MAX; i++) {
        if (archive_read_next_header(archive, &entry) < ARCHIVE_WARN)
            return;
        while (archive_read_data_block(archive, &block, &size, &offset) == ARCHIVE_OK)
            CHECK((total += size) <= MOST);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input;
    char hex[SHA256_HEX_SIZE];
    cleanup_fd int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0 && fd_write_full(fd, data, size) >= 0 && lseek(fd, 0, SEEK_SET) == 0);
    CHECK(input_start(&input, fd, true, MOST, NULL) == 0);
    input_allow(&input);
    struct archive *archive = archive_read_new();
    CHECK(archive);
    archive_read_support_format_tar(archive);
    if (input_open(&input, archive) == ARCHIVE_OK)
        read_entries(archive);
    CHECK(input_finish(&input, hex, NULL) == 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == (off_t)size);
    archive_read_free(archive);
    input_free(&input);
    return 0;
}
