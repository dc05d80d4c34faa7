// SPDX-License-Identifier: Apache-2.0
/*
 * Snapshots that clients take. The files are the engine's: an image named after the key and the
 * snapshot. Whose they are is told by empty files KEY.NAME in the state directory, which are their
 * list. Layer: serve.
 */
#pragma once

#include "serve/place.h"

#define SNAPSHOT_NAME_SIZE 64
#define SNAPSHOT_IMAGE_SIZE 160
#define SNAPSHOT_IMAGE_PREFIX "sandboxes-serve/"
#define SNAPSHOTS_MAX 1000 // a key

int snapshots_open(struct serve *serve, struct sbx_error *err);

// name "": one is made up. One that is there already is replaced. INVALID, QUOTA.
int snapshot_take(struct place *box, const char *name, const struct sbx_call *call,
                  char ret_name[SNAPSHOT_NAME_SIZE], struct sbx_error *err);

// Its image; false when this key has none of that name.
bool snapshot_image(const struct serve *serve, const char *owner, const char *name,
                    char ret_image[SNAPSHOT_IMAGE_SIZE]);
int snapshot_forget(struct serve *serve, const char *owner, const char *name,
                    const struct sbx_call *call, struct sbx_error *err);

struct snapshot_entry {
    char name[SNAPSHOT_NAME_SIZE];
    int64_t taken_ms;
};

// Those of a key, by name; free() the array.
int snapshots_all(const struct serve *serve, const char *owner, struct snapshot_entry **ret_entries,
                  size_t *ret_count, struct sbx_error *err);
