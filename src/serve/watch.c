// SPDX-License-Identifier: Apache-2.0
// Watchers of directories. Layer: serve.
#include "serve/watch.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"

#define PATH_SIZE 4096
#define DEPTH_MAX 32

struct seen {
    char *name; // owned
    int64_t modified_ms;
    uint64_t size;
    uint32_t mode, kind;
};

struct view {
    struct seen *items; // owned, by name
    size_t count, capacity;
};

struct watcher {
    struct place *box; // borrowed: it ends with it
    struct watcher *next;
    char id[32], path[PATH_SIZE], user[64];
    bool recursive;
    pthread_mutex_t lock;
    struct view view;
};

static void view_deinit(struct view *view)
{
    for (size_t i = 0; i < view->count; i++)
        free(view->items[i].name);
    free(view->items);
}

static int view_add(struct view *view, const char *name, const struct sbx_file_info *info,
                    struct sbx_error *err)
{
    if (view->count == WATCH_FILES_MAX)
        return err_set(err, SBX_ERR_QUOTA, "more than %d files can't be watched", WATCH_FILES_MAX);
    if (view->count == view->capacity) {
        size_t capacity = view->capacity ? view->capacity * 2 : 64;
        struct seen *items = realloc(view->items, capacity * sizeof(*items));
        if (!items)
            return err_nomem(err);
        view->items = items;
        view->capacity = capacity;
    }
    char *own = strdup(name);
    if (!own)
        return err_nomem(err);
    view->items[view->count++] =
        (struct seen){own, info->modified_ms, info->size, info->mode, info->kind};
    return 0;
}

static int look(struct watcher *watcher, const char *below, unsigned depth, struct view *view,
                struct sbx_error *err)
{
    struct sbx_file_options how = SBX_FILE_OPTIONS_INIT;
    struct sbx_file_list list;
    char path[PATH_SIZE], name[PATH_SIZE];
    how.user = watcher->user[0] ? watcher->user : NULL;
    snprintf(path, sizeof(path), "%s/%s", watcher->path, below);
    int code = sbx_file_list(watcher->box->sandbox, path, &how, NULL, &list, err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < list.count && code == 0; i++) {
        struct sbx_error ignored;
        snprintf(name, sizeof(name), "%s%s%s", below, below[0] ? "/" : "", list.items[i].name);
        code = view_add(view, name, &list.items[i], err);
        // A directory that is gone meanwhile has nothing to tell.
        if (code == 0 && watcher->recursive && list.items[i].kind == SBX_FILE_DIRECTORY &&
            depth < DEPTH_MAX)
            look(watcher, name, depth + 1, view, &ignored);
    }
    sbx_file_list_free(&list);
    return code;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->name, ((const struct seen *)b)->name);
}

static int take_view(struct watcher *watcher, struct view *ret_view, struct sbx_error *err)
{
    struct view view = {0};
    int code = look(watcher, "", 0, &view, err);
    if (code < 0) {
        view_deinit(&view);
        return code;
    }
    if (view.count > 1)
        qsort(view.items, view.count, sizeof(*view.items), by_name);
    *ret_view = view;
    return 0;
}

int watcher_new(struct place *box, const char *path, const char *user, bool recursive,
                struct watcher **ret_watcher, struct sbx_error *err)
{
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    if (!watcher)
        return err_nomem(err);
    watcher->box = box;
    watcher->recursive = recursive;
    pthread_mutex_init(&watcher->lock, NULL);
    snprintf(watcher->path, sizeof(watcher->path), "%s", path);
    snprintf(watcher->user, sizeof(watcher->user), "%s", user ? user : "");
    int code = take_view(watcher, &watcher->view, err);
    if (code < 0) {
        watcher_free(watcher);
        return code;
    }
    *ret_watcher = watcher;
    return 0;
}

void watcher_free(struct watcher *watcher)
{
    view_deinit(&watcher->view);
    pthread_mutex_destroy(&watcher->lock);
    free(watcher);
}

struct teller {
    void (*take)(void *payload, const struct watch_event *event);
    void *payload;
};

static void tell(const struct teller *teller, enum watch_kind kind, const char *name)
{
    struct watch_event event = {kind, name};
    teller->take(teller->payload, &event);
}

static void tell_changed(const struct teller *teller, const struct seen *old,
                         const struct seen *now)
{
    if (now->kind != SBX_FILE_DIRECTORY &&
        (old->modified_ms != now->modified_ms || old->size != now->size))
        tell(teller, WATCH_WRITE, now->name);
    if (old->mode != now->mode)
        tell(teller, WATCH_CHMOD, now->name);
}

static void tell_new(const struct teller *teller, const struct seen *now)
{
    tell(teller, WATCH_CREATE, now->name);
    if (now->kind == SBX_FILE_REGULAR && now->size > 0)
        tell(teller, WATCH_WRITE, now->name);
}

// A file that looks the same under a name that was not there before.
static bool was_renamed(const struct view *before, const struct view *after, const struct seen *old)
{
    for (size_t i = 0; i < after->count; i++) {
        const struct seen *now = &after->items[i];
        if (now->modified_ms == old->modified_ms && now->size == old->size &&
            now->kind == old->kind && now->mode == old->mode &&
            (before->count == 0 ||
             !bsearch(now, before->items, before->count, sizeof(*now), by_name)))
            return true;
    }
    return false;
}

static void tell_difference(const struct teller *teller, const struct view *before,
                            const struct view *after)
{
    for (size_t i = 0, k = 0; i < before->count || k < after->count;) {
        const struct seen *old = i < before->count ? &before->items[i] : NULL;
        const struct seen *now = k < after->count ? &after->items[k] : NULL;
        int order = !old ? 1 : !now ? -1 : strcmp(old->name, now->name);
        if (order == 0)
            tell_changed(teller, old, now);
        else if (order < 0)
            tell(teller, was_renamed(before, after, old) ? WATCH_RENAME : WATCH_REMOVE, old->name);
        else
            tell_new(teller, now);
        i += order <= 0;
        k += order >= 0;
    }
}

int watcher_look(struct watcher *watcher,
                 void (*take)(void *payload, const struct watch_event *event), void *payload,
                 struct sbx_error *err)
{
    struct teller teller = {take, payload};
    struct view view = {0};
    pthread_mutex_lock(&watcher->lock);
    int code = take_view(watcher, &view, err);
    if (code == 0) {
        tell_difference(&teller, &watcher->view, &view);
        view_deinit(&watcher->view);
        watcher->view = view;
    }
    pthread_mutex_unlock(&watcher->lock);
    return code;
}

int watcher_keep(struct watcher *watcher, char ret_id[32], struct sbx_error *err)
{
    struct place *box = watcher->box;
    size_t count = 0;
    char id[ID_SIZE];
    if (id_new(id) < 0)
        return err_set(err, SBX_ERR_IO, "cannot make an id");
    snprintf(watcher->id, sizeof(watcher->id), "w%s", id + 3);
    memcpy(ret_id, watcher->id, sizeof(watcher->id));
    pthread_mutex_lock(&box->lock);
    for (struct watcher *at = box->watchers; at; at = at->next)
        count++;
    if (count < WATCHERS_MAX) {
        watcher->next = box->watchers;
        box->watchers = watcher;
    }
    pthread_mutex_unlock(&box->lock);
    return count < WATCHERS_MAX
               ? 0
               : err_set(err, SBX_ERR_QUOTA, "more than %d watchers of one sandbox", WATCHERS_MAX);
}

static struct watcher **find(struct place *box, const char *id)
{
    struct watcher **at = &box->watchers;
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

// Out of the list while it looks, so that nobody frees it.
int watcher_look_kept(struct place *box, const char *id,
                      void (*take)(void *payload, const struct watch_event *event), void *payload,
                      struct sbx_error *err)
{
    pthread_mutex_lock(&box->lock);
    struct watcher **at = find(box, id), *watcher = *at;
    if (watcher)
        *at = watcher->next;
    pthread_mutex_unlock(&box->lock);
    if (!watcher)
        return err_set(err, SBX_ERR_NOT_FOUND, "watcher %.32s not found", id);
    int code = watcher_look(watcher, take, payload, err);
    pthread_mutex_lock(&box->lock);
    watcher->next = box->watchers;
    box->watchers = watcher;
    pthread_mutex_unlock(&box->lock);
    return code;
}

int watcher_drop(struct place *box, const char *id, struct sbx_error *err)
{
    pthread_mutex_lock(&box->lock);
    struct watcher **at = find(box, id), *watcher = *at;
    if (watcher)
        *at = watcher->next;
    pthread_mutex_unlock(&box->lock);
    if (!watcher)
        return err_set(err, SBX_ERR_NOT_FOUND, "watcher %.32s not found", id);
    watcher_free(watcher);
    return 0;
}

void watchers_end(struct place *box)
{
    for (struct watcher *at = box->watchers, *next; at; at = next) {
        next = at->next;
        watcher_free(at);
    }
    box->watchers = NULL;
}
