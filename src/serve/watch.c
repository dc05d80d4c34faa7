// SPDX-License-Identifier: Apache-2.0
// Watchers of directories. Layer: serve.
#include "serve/watch.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"

#define DRAIN_MS 1

struct watcher {
    struct place *box; // borrowed: it ends with it
    struct watcher *next;
    char id[32];
    pthread_mutex_t lock; // of one look
    struct sbx_watch *watch;
};

int watcher_new(struct place *box, const char *path, const char *user, bool recursive,
                struct watcher **ret_watcher, struct sbx_error *err)
{
    struct sbx_file_options how = SBX_FILE_OPTIONS_INIT;
    struct sbx_watch *watch;
    how.user = user && user[0] ? user : NULL;
    how.recursive = recursive;
    int code = sbx_watch_start(box->sandbox, path, &how, NULL, &watch, err);
    if (code < 0)
        return code;
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    if (!watcher) {
        sbx_watch_free(watch);
        return err_nomem(err);
    }
    watcher->box = box;
    watcher->watch = watch;
    pthread_mutex_init(&watcher->lock, NULL);
    *ret_watcher = watcher;
    return 0;
}

void watcher_free(struct watcher *watcher)
{
    sbx_watch_free(watcher->watch);
    pthread_mutex_destroy(&watcher->lock);
    free(watcher);
}

int watcher_look(struct watcher *watcher, int wait_ms, watcher_take_fn *take, void *payload,
                 struct sbx_error *err)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_change change;
    int code = 0;
    call.timeout_ms = wait_ms ? wait_ms : DRAIN_MS;
    pthread_mutex_lock(&watcher->lock);
    for (int i = 0; code == 0 && i < WATCH_LOOK_MAX; i++) {
        code = sbx_watch_next(watcher->watch, &call, &change, err);
        if (code == 0)
            take(payload, &change);
        call.timeout_ms = DRAIN_MS;
    }
    pthread_mutex_unlock(&watcher->lock);
    return code == SBX_ERR_TIMEOUT ? 0 : code;
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
int watcher_look_kept(struct place *box, const char *id, watcher_take_fn *take, void *payload,
                      struct sbx_error *err)
{
    pthread_mutex_lock(&box->lock);
    struct watcher **at = find(box, id), *watcher = *at;
    if (watcher)
        *at = watcher->next;
    pthread_mutex_unlock(&box->lock);
    if (!watcher)
        return err_set(err, SBX_ERR_NOT_FOUND, "watcher %.32s not found", id);
    int code = watcher_look(watcher, 0, take, payload, err);
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
