// SPDX-License-Identifier: Apache-2.0
// Watchers of directories in a sandbox, kept for clients that ask now and then. Layer: serve.
#pragma once

#include <sandboxes/files.h>

#include "serve/place.h"

struct watcher;

#define WATCHERS_MAX 64     // a sandbox
#define WATCH_LOOK_MAX 5000 // changes that one look tells of; the next tells of more

typedef void watcher_take_fn(void *payload, const struct sbx_change *change);

// NOT_FOUND; INVALID when it is no directory.
int watcher_new(struct place *box, const char *path, const char *user, bool recursive,
                struct watcher **ret_watcher, struct sbx_error *err);
void watcher_free(struct watcher *watcher);
// What has changed since the last look; waits so long for the first.
int watcher_look(struct watcher *watcher, int wait_ms, watcher_take_fn *take, void *payload,
                 struct sbx_error *err);

// Kept ones, by name. QUOTA when there are too many; then the watcher stays the caller's.
int watcher_keep(struct watcher *watcher, char ret_id[32], struct sbx_error *err);
int watcher_look_kept(struct place *box, const char *id, watcher_take_fn *take, void *payload,
                      struct sbx_error *err);
int watcher_drop(struct place *box, const char *id, struct sbx_error *err);
void watchers_end(struct place *box);
