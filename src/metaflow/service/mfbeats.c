// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mfbeats.h"

#include <stdlib.h>

#define FIRST_SIZE 256
#define FORGET_MS 3600000

void mfbeats_init(struct mfbeats *beats)
{
    *beats = (struct mfbeats){0};
    pthread_mutex_init(&beats->lock, NULL);
}

void mfbeats_deinit(struct mfbeats *beats)
{
    pthread_mutex_destroy(&beats->lock);
    free(beats->items);
}

// FNV-1a; two paths with one hash would share their time, nothing worse.
static uint64_t hash(const char *path)
{
    uint64_t value = 0xcbf29ce484222325;
    for (; *path; path++)
        value = (value ^ (unsigned char)*path) * 0x100000001b3;
    return value ? value : 1;
}

static struct mfbeat *slot_of(struct mfbeat *items, size_t size, uint64_t key)
{
    size_t i = (size_t)(key ^ key >> 32) & (size - 1);
    while (items[i].key && items[i].key != key)
        i = (i + 1) & (size - 1);
    return &items[i];
}

// A larger table without those that have been silent for long.
static void make_room(struct mfbeats *beats, int64_t now_ms)
{
    size_t size = beats->size ? beats->size * 2 : FIRST_SIZE;
    if (size > MFBEATS_MAX)
        size = MFBEATS_MAX;
    struct mfbeat *items = calloc(size, sizeof(*items));
    if (!items)
        return;
    size_t used = 0;
    for (size_t i = 0; i < beats->size && used < size / 4; i++)
        if (beats->items[i].key && now_ms - beats->items[i].at_ms < FORGET_MS) {
            *slot_of(items, size, beats->items[i].key) = beats->items[i];
            used++;
        }
    free(beats->items);
    beats->items = items;
    beats->size = size;
    beats->used = used;
}

void mfbeats_note(struct mfbeats *beats, const char *path, int64_t now_ms)
{
    pthread_mutex_lock(&beats->lock);
    struct mfbeat *slot = beats->size ? slot_of(beats->items, beats->size, hash(path)) : NULL;
    if (!slot || (!slot->key && beats->used >= beats->size / 2)) {
        make_room(beats, now_ms);
        slot = beats->size && beats->used < beats->size / 2
                   ? slot_of(beats->items, beats->size, hash(path))
                   : NULL;
    }
    if (slot) {
        beats->used += slot->key == 0;
        *slot = (struct mfbeat){hash(path), now_ms};
    }
    pthread_mutex_unlock(&beats->lock);
}

int64_t mfbeats_last(struct mfbeats *beats, const char *path)
{
    pthread_mutex_lock(&beats->lock);
    const struct mfbeat *slot = beats->size ? slot_of(beats->items, beats->size, hash(path)) : NULL;
    int64_t at_ms = slot && slot->key ? slot->at_ms : 0;
    pthread_mutex_unlock(&beats->lock);
    return at_ms;
}
