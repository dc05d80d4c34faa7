// SPDX-License-Identifier: Apache-2.0
// Old views of this machine are removed. Layer: engine.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/tree.h"
#include "engine/prune.h"
#include "engine/view.h"

#define VIEWS_MAX 256
#define LOCK_MS 100
#define SLACK 60 // seconds by which clocks may have been set

// Lists finished views; removes what killed builders left (the lock is held: nobody builds now).
static size_t list_views(int cache_fd, const char *kind, const char *building,
                         struct prune_item views[VIEWS_MAX])
{
    cleanup_dir DIR *dir = dir_open(cache_fd, ".");
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

// A view belongs to one boot of the machine (view_key()). 0 where that tells nothing about its use.
static time_t boot_time(int cache_fd)
{
    struct timespec up;
    return cachedir_is_own_disk(cache_fd) && clock_gettime(CLOCK_BOOTTIME, &up) == 0
               ? time(NULL) - up.tv_sec - SLACK
               : 0;
}

void view_prune(const struct cachedir *cache, const char *kind, const char *building)
{
    cleanup_free struct prune_item *views = calloc(VIEWS_MAX, sizeof(*views));
    if (!views)
        return;
    size_t count = list_views(cache->fd, kind, building, views);
    struct prune_rule rule = prune_rule_making(count);
    rule.dead = boot_time(cache->fd);
    prune_items(cache, views, count, &rule);
}

static size_t clear_kind(const struct cachedir *cache, const char *kind, bool all)
{
    char name[VIEW_KIND_MAX + 8];
    cleanup_free struct prune_item *views = calloc(VIEWS_MAX, sizeof(*views));
    struct prune_rule rule = prune_rule_asked(all);
    int lock = -1;
    snprintf(name, sizeof(name), "%s.lock", kind);
    if (!views || cachedir_lock(cache->fd, name, deadline_in(LOCK_MS), &lock, NULL) < 0)
        return 0; // one is being made: later
    rule.dead = boot_time(cache->fd);
    size_t removed = prune_items(cache, views, list_views(cache->fd, kind, "", views), &rule);
    cachedir_unlock(cache->fd, name, &lock);
    return removed;
}

size_t view_clear(const struct cachedir *cache, bool all)
{
    static const char *const kinds[] = {"host", "base", "qemu", "saved"};
    size_t removed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        removed += clear_kind(cache, kinds[i], all);
    return removed;
}
