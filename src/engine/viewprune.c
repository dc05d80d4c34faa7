// SPDX-License-Identifier: Apache-2.0
// Old views of this machine are removed, carefully: a sandbox may still stand on one. Layer:
// engine.
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tree.h"
#include "engine/view.h"

#define KEEP_NEWEST 3
#define KEEP_SECONDS ((time_t)30 * 24 * 3600)
#define VIEWS_MAX 256

struct view {
    char name[64];
    time_t used;
};

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

// Lists finished views; removes what killed builders left (the lock is held: nobody builds now).
static size_t list_views(int cache_fd, const char *kind, const char *building,
                         struct view views[VIEWS_MAX])
{
    int fd = openat(cache_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0)
        close(fd);
    size_t count = 0;
    for (struct dirent *entry; dir && count < VIEWS_MAX && (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (strncmp(entry->d_name, kind, strlen(kind)) != 0 || entry->d_name[strlen(kind)] != '-' ||
            length >= sizeof(views[0].name) - 16)
            continue;
        if (length > 4 && strcmp(entry->d_name + length - 4, ".new") == 0) {
            if (strcmp(entry->d_name, building) != 0)
                tree_remove(cache_fd, entry->d_name);
            continue;
        }
        char manifest[96];
        struct stat info;
        snprintf(manifest, sizeof(manifest), "%s/manifest", entry->d_name);
        if (fstatat(cache_fd, manifest, &info, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        snprintf(views[count].name, sizeof(views[count].name), "%s", entry->d_name);
        views[count++].used = info.st_mtim.tv_sec;
    }
    return count;
}

static int newest_first(const void *a, const void *b)
{
    time_t left = ((const struct view *)a)->used, right = ((const struct view *)b)->used;
    return left < right ? 1 : left > right ? -1 : 0;
}

void view_prune(const struct cachedir *cache, const char *kind, const char *building)
{
    cleanup_free struct view *views = calloc(VIEWS_MAX, sizeof(*views));
    if (!views)
        return;
    size_t count = list_views(cache->fd, kind, building, views);
    qsort(views, count, sizeof(*views), newest_first);
    for (size_t i = KEEP_NEWEST; i < count; i++) {
        char gone[96];
        if (time(NULL) - views[i].used < KEEP_SECONDS)
            continue;
        // Out of sight first: nobody may find half of it.
        snprintf(gone, sizeof(gone), "%s.new", views[i].name);
        if (renameat(cache->fd, views[i].name, cache->fd, gone) == 0)
            tree_remove(cache->fd, gone);
    }
}
