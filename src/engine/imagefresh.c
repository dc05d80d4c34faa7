// SPDX-License-Identifier: Apache-2.0
// Marks of what may not be on the disk. Layer: engine.
#include "engine/imagefresh.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define FOLDER "fresh"
#define BOOT_SIZE 40 // 36 characters, a line's end
#define MARK_SIZE 96

// "" where the kernel doesn't tell.
static void read_boot(char ret_boot[BOOT_SIZE])
{
    if (fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", ret_boot, BOOT_SIZE) < 0)
        ret_boot[0] = '\0';
    ret_boot[strcspn(ret_boot, "\n")] = '\0';
}

static bool is_of(int dir_fd, const char *mark, const char *boot)
{
    char found[BOOT_SIZE];
    ssize_t size = readlinkat(dir_fd, mark, found, sizeof(found) - 1);
    found[size < 0 ? 0 : size] = '\0';
    return size > 0 && strcmp(found, boot) == 0;
}

static void name_mark(const char *kind, const char *hex, char ret_mark[MARK_SIZE])
{
    snprintf(ret_mark, MARK_SIZE, FOLDER "/%s-%s", kind, hex);
}

bool imagefresh_is_lost(const struct imagestore *store, const char *kind, const char *hex)
{
    char mark[MARK_SIZE], boot[BOOT_SIZE];
    struct stat info;
    name_mark(kind, hex, mark);
    if (fstatat(store->fd, mark, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    read_boot(boot);
    // It may have gone since: then all is on the disk.
    return !is_of(store->fd, mark, boot) &&
           fstatat(store->fd, mark, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

int imagefresh_mark(const struct imagestore *store, const char *kind, const char *hex,
                    struct sbx_error *err)
{
    char mark[MARK_SIZE], boot[BOOT_SIZE];
    name_mark(kind, hex, mark);
    read_boot(boot);
    // What can't be told from another boot's must be on the disk before it is used.
    if (!boot[0])
        return syncfs(store->fd) < 0 ? err_sys(err, 0, errno, "cannot write an image to disk") : 0;
    if ((mkdirat(store->fd, FOLDER, 0700) < 0 && errno != EEXIST) ||
        (unlinkat(store->fd, mark, 0) < 0 && errno != ENOENT) ||
        symlinkat(boot, store->fd, mark) < 0)
        return err_sys(err, 0, errno, "cannot make %s/%s", store->path, mark);
    return 0;
}

void imagefresh_unmark(const struct imagestore *store, const char *kind, const char *hex)
{
    char mark[MARK_SIZE];
    name_mark(kind, hex, mark);
    (void)unlinkat(store->fd, mark, 0);
}

static void free_names(struct dirent ***names)
{
    free(*names);
}

static int is_mark(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

void imagefresh_settle(const struct imagestore *store)
{
    char boot[BOOT_SIZE];
    cleanup_fd int dir = openat(store->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup(free_names) struct dirent **names = NULL;
    int count = dir < 0 ? 0 : scandirat(dir, ".", &names, is_mark, NULL);
    bool settled = count > 0 && syncfs(dir) == 0;
    read_boot(boot);
    for (int i = 0; i < count; i++) {
        if (settled && is_of(dir, names[i]->d_name, boot))
            (void)unlinkat(dir, names[i]->d_name, 0);
        free(names[i]);
    }
}
