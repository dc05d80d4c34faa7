// SPDX-License-Identifier: Apache-2.0
// When runs and tasks last said that they live. In memory alone, as local mode has no file for it;
// a service that starts anew learns it within seconds. Layer: metaflow.
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define MFBEATS_MAX 65536 // the oldest are forgotten

struct mfbeat {
    uint64_t key; // hash of the path; 0: free
    int64_t at_ms;
};

struct mfbeats {
    pthread_mutex_t lock;
    struct mfbeat *items; // owned; size is a power of two
    size_t size, used;
};

void mfbeats_init(struct mfbeats *beats);
void mfbeats_deinit(struct mfbeats *beats);

void mfbeats_note(struct mfbeats *beats, const char *path, int64_t now_ms);
int64_t mfbeats_last(struct mfbeats *beats, const char *path); // 0: never
