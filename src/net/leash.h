// SPDX-License-Identifier: Apache-2.0
/*
 * Sandboxes of a service that end with this process, however it ends: they get a short life, which
 * a thread here makes longer again and again. Whatever is held when the leashes are closed is
 * ended. Layer: net.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

// Makes the life of this sandbox longer; an error is tried again soon.
typedef int leash_renew_fn(void *payload, const char *id, struct sbx_error *err);
typedef void leash_end_fn(void *payload, const char *id);

struct leash {
    struct leash *next;
    int64_t until_ms; // boot clock; no renewal that would pass it
    char id[200];
};

struct leashbook {
    leash_renew_fn *renew;
    leash_end_fn *end;
    void *payload;
    int64_t every_ms;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool started, stopping;
    struct leash *first;
};

void leashbook_init(struct leashbook *book, leash_renew_fn *renew, leash_end_fn *end, void *payload,
                    int64_t every_ms);
void leashbook_deinit(struct leashbook *book);
int leashbook_add(struct leashbook *book, const char *id, int64_t until_ms, struct sbx_error *err);
// Lets go of a sandbox that is gone, or that lives on. False when it was not held.
bool leashbook_remove(struct leashbook *book, const char *id);
