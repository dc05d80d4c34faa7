// SPDX-License-Identifier: Apache-2.0
// Leashes of tied sandboxes: each ends when its leash is closed, at the latest with this process.
// Layer: engine.
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "base/error.h"
#include "base/id.h"

struct leash {
    char id[ID_SIZE];
    int fd;
};

struct leashes {
    pthread_mutex_t lock;
    struct leash *items;
    size_t count, capacity;
};

void leashes_init(struct leashes *leashes);
void leashes_deinit(struct leashes *leashes); // ends the sandboxes that are still tied

// In the child of a fork: only the parent holds them from now on. Takes no lock, as its holder may
// be a thread of the parent's.
void leashes_forked(struct leashes *leashes);

// Takes fd over; closes it on failure (NOMEM).
int leashes_add(struct leashes *leashes, const char *id, int fd, struct sbx_error *err);
void leashes_remove(struct leashes *leashes, const char *id);
