// SPDX-License-Identifier: Apache-2.0
/*
 * A pool from inside. Every sandbox of it has a place, of which there are max_total; it is in
 * exactly one of the lists idle, busy and doomed, or in the hands of a thread that makes or ends
 * it, which the counters creating and ending say. Nothing slow is done with the lock held.
 *
 * Callers that find no place form a queue. Whenever a sandbox or a place becomes free, the first of
 * them gets it (pool_dispatch), so that nobody who comes later overtakes them.
 * Layer: core.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include <sandboxes/pool.h>

#include "base/clock.h"
#include "base/sha256.h"
#include "core/manager.h"
#include "core/spec_copy.h"

#define POOL_PARALLEL_MAX 64

struct pool_entry {
    struct pool_entry *prev, *next;
    struct sbx_sandbox *sandbox; // owned
    uint8_t key[SHA256_SIZE];
    int64_t born_ms, idle_ms; // since when, on the pool's clock
    bool used;                // somebody has had it
};

struct pool_list {
    struct pool_entry *first, *last; // newest first
    uint32_t count;
};

// What somebody wants.
struct pool_want {
    const struct sbx_spec *spec; // full, checked
    const struct names *names;
    uint8_t key[SHA256_SIZE];
    struct deadline deadline;
};

enum pool_grant_kind {
    POOL_NOTHING,
    POOL_ENTRY,  // a warm sandbox, which is in the list busy already
    POOL_PLACE,  // leave to make one; an old one may have to be ended first
    POOL_CLOSED, // the pool is being closed
};

struct pool_grant {
    enum pool_grant_kind kind;
    struct pool_entry *entry; // the warm one, or the old one, or NULL
};

struct pool_waiter {
    struct pool_waiter *next;
    const uint8_t *key;
    struct pool_grant grant;
    int wake_fd; // write end of a pipe: one byte once granted
};

struct sbx_pool {
    struct sbx_manager *manager;
    struct sbx_pool_options options; // with all defaults
    struct spec_copy spec;
    struct names names; // given; none: see manager_names()
    struct names own_names;
    uint8_t key[SHA256_SIZE]; // of its own spec
    pid_t owner;              // the process that opened it
    struct sbx_cancel *stop;  // ends what is made in the background

    pthread_mutex_t lock;   // guards all below
    pthread_cond_t work;    // for workers: there may be something to do
    pthread_cond_t changed; // for close: somebody has left
    struct pool_list idle, busy, doomed;
    uint32_t creating, warming, ending; // warming: those of creating that are for the pool itself
    struct pool_waiter *waiters;
    uint32_t inside; // callers in acquire
    bool closing, quit;
    pthread_t threads[POOL_PARALLEL_MAX];
    uint32_t thread_count, sleeping;
    int64_t refill_at; // not before, after a failure
    uint32_t refill_failures;
    struct sbx_error refill_error;
    struct sbx_pool_stats stats; // its counters
};

// --- pool_take.c; with the lock held
uint32_t pool_total(const struct sbx_pool *pool);
void pool_list_push(struct pool_list *list, struct pool_entry *entry);
void pool_list_remove(struct pool_list *list, struct pool_entry *entry);
void pool_expire(struct sbx_pool *pool); // the too old join the doomed
bool pool_take(struct sbx_pool *pool, const uint8_t *key, struct pool_grant *ret_grant);
void pool_dispatch(struct sbx_pool *pool);
void pool_turn_away(struct sbx_pool *pool);         // all that wait
uint32_t pool_missing(const struct sbx_pool *pool); // warm ones that are to be made

// As pool_take, waiting for it. Takes the lock itself.
int pool_wait(struct sbx_pool *pool, const struct pool_want *want, struct pool_grant *ret_grant,
              struct sbx_error *err);
void pool_give_back(struct sbx_pool *pool, struct pool_grant *grant);

// --- pool_work.c
// Sees to it that there are threads for what there is to do. With the lock held.
void pool_kick(struct sbx_pool *pool);

// Makes one in a place that is taken already (creating), ending an old one first. Without the lock.
int pool_make(struct sbx_pool *pool, const struct pool_want *want, struct pool_entry *old,
              struct pool_entry **ret_entry, struct sbx_error *err);

// Destroys and frees. Without the lock; true if it is gone.
bool pool_end(struct pool_entry *entry);

int64_t pool_now(const struct sbx_pool *pool);
