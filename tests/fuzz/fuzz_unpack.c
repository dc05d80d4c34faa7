// SPDX-License-Identifier: Apache-2.0
// Archives: whatever comes, nothing appears beside the directory that it is unpacked into.
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tree.h"
#include "engine/unpack/extract.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static char base[64];

static void remove_base(void)
{
    tree_remove(AT_FDCWD, base);
}

static int open_base(void)
{
    if (!base[0]) {
        snprintf(base, sizeof(base), "%s/fuzz-unpack-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        CHECK(mkdtemp(base));
        atexit(remove_base);
    }
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static size_t count_entries(int dir_fd)
{
    size_t count = 0;
    DIR *dir = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CHECK(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static void unpack(struct archive *archive, int tree_fd)
{
    struct sbx_error err = {0};
    cleanup(extract_deinit) struct extract extract = {
        .archive = archive, .bytes_max = 1 << 20, .err = &err};
    path_walk_init(&extract.walk, tree_fd);
    int rc = extract_all(&extract);
    CHECK(rc == err.code && (rc == 0 || err.message[0]));
    CHECK(extract.bytes <= extract.bytes_max);
}

// Headers carry a sum of their bytes; without it hardly a mutation would get past the first check.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    (void)seed;
    size = LLVMFuzzerMutate(data, size, max_size);
    for (size_t at = 0; at + 512 <= size; at += 512) {
        char *header = (char *)data + at;
        unsigned sum = 0;
        if (memcmp(header + 257, "ustar", 5) != 0)
            continue;
        memset(header + 148, ' ', 8);
        for (size_t i = 0; i < 512; i++)
            sum += data[at + i];
        snprintf(header + 148, 8, "%06o", sum);
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_fd int base_fd = open_base();
    CHECK(mkdirat(base_fd, "tree", 0755) == 0);
    cleanup_fd int tree_fd = openat(base_fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct archive *archive = archive_read_new();
    CHECK(tree_fd >= 0 && archive);
    archive_read_support_format_tar(archive);
    if (archive_read_open_memory(archive, data, size) == ARCHIVE_OK)
        unpack(archive, tree_fd);
    archive_read_free(archive);
    CHECK(count_entries(base_fd) == 1);
    CHECK(tree_remove(base_fd, "tree") == 0);
    return 0;
}
