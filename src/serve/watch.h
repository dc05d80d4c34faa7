// SPDX-License-Identifier: Apache-2.0
/*
 * Watchers of directories in a sandbox. Whoever asks for events makes it look: the library has no
 * notification of changes, so two looks are compared, and what came and went between them is not
 * seen. Layer: serve.
 */
#pragma once

#include "serve/place.h"

enum watch_kind { WATCH_CREATE = 1, WATCH_WRITE, WATCH_REMOVE, WATCH_RENAME, WATCH_CHMOD };

struct watch_event {
    enum watch_kind kind;
    const char *name; // below the directory; valid during the call
};

struct watcher;

#define WATCHERS_MAX 64 // a sandbox
#define WATCH_FILES_MAX 20000

// NOT_FOUND; INVALID when it is no directory.
int watcher_new(struct place *box, const char *path, const char *user, bool recursive,
                struct watcher **ret_watcher, struct sbx_error *err);
void watcher_free(struct watcher *watcher);
int watcher_look(struct watcher *watcher,
                 void (*take)(void *payload, const struct watch_event *event), void *payload,
                 struct sbx_error *err);

// Kept ones, by name. QUOTA when there are too many; then the watcher stays the caller's.
int watcher_keep(struct watcher *watcher, char ret_id[32], struct sbx_error *err);
int watcher_look_kept(struct place *box, const char *id,
                      void (*take)(void *payload, const struct watch_event *event), void *payload,
                      struct sbx_error *err);
int watcher_drop(struct place *box, const char *id, struct sbx_error *err);
void watchers_end(struct place *box);
