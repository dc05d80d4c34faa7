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
#include "base/dir.h"
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
    if (!boot[0] || !cachedir_is_own_disk(store->fd))
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

// --- Settling

struct marks {
    struct dirent **names;
    struct stat *infos;
    int count;
};

static void free_marks(struct marks *marks)
{
    for (int i = 0; i < marks->count; i++)
        free(marks->names[i]);
    free(marks->names);
    free(marks->infos);
}

static int is_mark(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void read_marks(int dir_fd, struct marks *ret_marks)
{
    int count = dir_scan(dir_fd, &ret_marks->names, is_mark, NULL);
    ret_marks->count = count < 0 ? 0 : count;
    ret_marks->infos = calloc((size_t)ret_marks->count + 1, sizeof(*ret_marks->infos));
    for (int i = 0; ret_marks->infos && i < ret_marks->count; i++)
        (void)fstatat(dir_fd, ret_marks->names[i]->d_name, &ret_marks->infos[i],
                      AT_SYMLINK_NOFOLLOW);
}

// Another one of the same name was made while we waited for the disk: it stands for later contents.
static void remove_mark(int dir_fd, const char *name, const struct stat *before)
{
    struct stat now;
    if (fstatat(dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && same(&now, before))
        (void)unlinkat(dir_fd, name, 0);
}

void imagefresh_settle(const struct imagestore *store)
{
    char boot[BOOT_SIZE];
    cleanup_fd int dir = openat(store->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup(free_marks) struct marks marks = {0};
    if (dir < 0)
        return;
    read_marks(dir, &marks);
    if (marks.count == 0 || !marks.infos || syncfs(dir) < 0)
        return;
    read_boot(boot);
    for (int i = 0; i < marks.count; i++)
        if (is_of(dir, marks.names[i]->d_name, boot))
            remove_mark(dir, marks.names[i]->d_name, &marks.infos[i]);
}

// KIND-HEX
static bool is_marked_there(const struct imagestore *store, const char *name)
{
    char path[NAME_MAX + 1];
    struct stat info;
    snprintf(path, sizeof(path), "%s", name);
    char *dash = strchr(path, '-');
    if (dash)
        *dash = '/';
    return dash && fstatat(store->fd, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

void imagefresh_clear(const struct imagestore *store)
{
    cleanup_fd int dir = openat(store->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    cleanup(free_marks) struct marks marks = {0};
    if (dir < 0)
        return;
    read_marks(dir, &marks);
    for (int i = 0; marks.infos && i < marks.count; i++)
        if (!is_marked_there(store, marks.names[i]->d_name))
            (void)unlinkat(dir, marks.names[i]->d_name, 0);
}
