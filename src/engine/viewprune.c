// SPDX-License-Identifier: Apache-2.0
// Old views of this machine are removed, carefully: a sandbox may still stand on one. Layer:
// engine.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/tree.h"
#include "engine/store.h"
#include "engine/view.h"

#define KEEP_NEWEST 3
#define DAY ((time_t)24 * 3600)
#define KEEP_DAYS 7
#define MANY 24 // views: then those unused for a day may go
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

// Whether a living sandbox that we can see stands on the view.
static bool in_use(const struct cachedir *cache, const char *name, const struct record *boxes,
                   size_t count)
{
    char tree[PATH_MAX];
    int length = snprintf(tree, sizeof(tree), "%s/%s/", cache->path, name);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < boxes[i].spec.layer_count; k++)
            if (strncmp(boxes[i].spec.layers[k].value, tree, (size_t)length) == 0)
                return true;
    return false;
}

static void remove_view(const struct cachedir *cache, const char *name)
{
    char gone[96];
    // Out of sight first: nobody may find half of it.
    snprintf(gone, sizeof(gone), "%s.new", name);
    if (renameat(cache->fd, name, cache->fd, gone) == 0)
        tree_remove(cache->fd, gone);
}

// Removes those of the views that were not used since, and that no sandbox stands on.
static void remove_unused(const struct cachedir *cache, const struct view *views, size_t count,
                          time_t since)
{
    cleanup_store struct store store = {.fd = -1};
    struct record *boxes = NULL;
    size_t box_count = 0;
    if (store_open(&store, NULL) < 0 || store_list(&store, NULL, 0, &boxes, &box_count, NULL) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (views[i].used < since && !in_use(cache, views[i].name, boxes, box_count))
            remove_view(cache, views[i].name);
    store_list_free(boxes, box_count);
}

void view_prune(const struct cachedir *cache, const char *kind, const char *building)
{
    cleanup_free struct view *views = calloc(VIEWS_MAX, sizeof(*views));
    if (!views)
        return;
    size_t count = list_views(cache->fd, kind, building, views);
    qsort(views, count, sizeof(*views), newest_first);
    time_t since = time(NULL) - (count > MANY ? DAY : KEEP_DAYS * DAY);
    // Usually even the oldest is younger, and nothing is left to look after.
    if (count > KEEP_NEWEST && views[count - 1].used < since)
        remove_unused(cache, views + KEEP_NEWEST, count - KEEP_NEWEST, since);
}
