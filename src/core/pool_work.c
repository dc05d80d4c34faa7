// SPDX-License-Identifier: Apache-2.0
// Making and ending a pool's sandboxes: for callers, and in the background. Layer: core.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/deadline_call.h"
#include "core/pool.h"
#include "core/sandbox.h"

#define END_MS (60 * 1000) // no destruction takes longer without being given up
#define NAP_MS (3600 * 1000)

bool pool_end(struct pool_entry *entry)
{
    struct sbx_error err;
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = END_MS;
    int code = sbx_sandbox_destroy(entry->sandbox, &call, &err);
    if (code < 0 && code != SBX_ERR_NOT_FOUND)
        log_warn("pool", "sandbox %s was not destroyed: %s", sbx_sandbox_id(entry->sandbox),
                 err.message);
    sbx_sandbox_free(entry->sandbox);
    free(entry);
    return code == 0;
}

static int prepare(struct sbx_pool *pool, struct pool_entry *entry, struct deadline deadline,
                   struct sbx_error *err)
{
    struct sbx_call call;
    if (!pool->options.prepare)
        return 0;
    int code = deadline_call(deadline, &call, err);
    if (code == 0)
        code = pool->options.prepare(pool->options.payload, entry->sandbox, &call, err);
    return code < 0 ? (err_wrap(err, "preparing sandbox %s", sbx_sandbox_id(entry->sandbox)), code)
                    : 0;
}

static int make(struct sbx_pool *pool, const struct pool_want *want, struct pool_entry **ret_entry,
                struct sbx_error *err)
{
    struct sbx_spec spec = *want->spec;
    struct pool_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return err_nomem(err);
    spec.lifetime = SBX_LIFETIME_TIED;
    int code = manager_create(pool->manager, &spec, want->names, want->deadline, &entry->sandbox,
                              NULL, err);
    if (code < 0) {
        free(entry);
        return code;
    }
    memcpy(entry->key, want->key, sizeof(entry->key));
    entry->born_ms = entry->idle_ms = pool_now(pool);
    code = prepare(pool, entry, want->deadline, err);
    if (code < 0)
        pool_end(entry);
    else
        *ret_entry = entry;
    return code;
}

int pool_make(struct sbx_pool *pool, const struct pool_want *want, struct pool_entry *old,
              struct pool_entry **ret_entry, struct sbx_error *err)
{
    bool ended = old && pool_end(old);
    int code = make(pool, want, ret_entry, err);
    pthread_mutex_lock(&pool->lock);
    pool->stats.destroyed += ended;
    pool->creating--;
    if (code == 0)
        pool->stats.created++;
    else
        pool->stats.failures++;
    pthread_mutex_unlock(&pool->lock);
    return code;
}

// --- in the background; with the lock held, which is released while something is made or ended

static void end_one(struct sbx_pool *pool)
{
    struct pool_entry *entry = pool->doomed.last;
    pool_list_remove(&pool->doomed, entry);
    pool->ending++;
    pthread_mutex_unlock(&pool->lock);
    bool ended = pool_end(entry);
    pthread_mutex_lock(&pool->lock);
    pool->ending--;
    pool->stats.destroyed += ended;
}

static void refilled(struct sbx_pool *pool, struct pool_entry *entry, int code,
                     const struct sbx_error *err)
{
    if (code == 0) {
        pool->refill_failures = 0;
        pool_list_push(pool->closing ? &pool->doomed : &pool->idle, entry);
        return;
    }
    if (pool->closing)
        return;
    log_warn("pool", "no warm sandbox: %s", err->message);
    pool->refill_failures++;
    pool->refill_error = *err;
    pool->refill_at = pool_now(pool) + manager_delay(pool->manager, pool->refill_failures, err);
}

static void refill_one(struct sbx_pool *pool)
{
    struct pool_want want = {.spec = &pool->spec.spec,
                             .names = &pool->own_names,
                             .deadline = {DEADLINE_NEVER, pool->stop}};
    struct pool_entry *entry = NULL;
    struct sbx_error err;
    memcpy(want.key, pool->key, sizeof(want.key));
    pool->creating++;
    pool->warming++;
    pthread_mutex_unlock(&pool->lock);
    int code = pool_make(pool, &want, NULL, &entry, &err);
    pthread_mutex_lock(&pool->lock);
    pool->warming--;
    refilled(pool, entry, code, &err);
}

static bool may_refill(const struct sbx_pool *pool)
{
    return pool_missing(pool) > 0 && pool_now(pool) >= pool->refill_at;
}

static bool work_once(struct sbx_pool *pool)
{
    pool_expire(pool);
    if (pool->doomed.count)
        end_one(pool);
    else if (may_refill(pool))
        refill_one(pool);
    else
        return false;
    pool_dispatch(pool);
    pthread_cond_broadcast(&pool->changed);
    return true;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// Until there may be something to do by itself: a sandbox grows too old, a failure is long enough
// ago.
static int64_t nap_ms(const struct sbx_pool *pool)
{
    const struct sbx_pool_options *options = &pool->options;
    int64_t now = pool_now(pool), at = now + NAP_MS;
    for (const struct pool_entry *entry = pool->idle.first; entry; entry = entry->next) {
        if (options->ttl_ms)
            at = sooner(at, entry->born_ms + options->ttl_ms);
        if (options->idle_ms)
            at = sooner(at, entry->idle_ms + options->idle_ms);
    }
    if (pool_missing(pool))
        at = sooner(at, pool->refill_at);
    return at > now ? at - now : 1;
}

static void *worker(void *argument)
{
    struct sbx_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    while (!pool->quit || pool->doomed.count) {
        if (work_once(pool))
            continue;
        pool->sleeping++;
        thread_wait(&pool->work, &pool->lock, nap_ms(pool));
        pool->sleeping--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

// Something to do now, or later for one that watches the time.
static uint32_t wanted_workers(const struct sbx_pool *pool)
{
    const struct sbx_pool_options *options = &pool->options;
    uint32_t missing = pool_missing(pool), jobs = pool->doomed.count;
    if (missing && pool_now(pool) >= pool->refill_at)
        jobs += missing;
    bool watch = missing || (pool->idle.count && (options->ttl_ms || options->idle_ms));
    return jobs ? jobs : watch && !pool->thread_count;
}

void pool_kick(struct sbx_pool *pool)
{
    uint32_t wanted = wanted_workers(pool);
    if (pool->sleeping)
        pthread_cond_broadcast(&pool->work);
    for (uint32_t have = pool->sleeping;
         have < wanted && pool->thread_count < pool->options.parallel; have++) {
        int failed = thread_start(&pool->threads[pool->thread_count], worker, pool);
        if (failed) {
            log_warn("pool", "cannot start a thread: %s", strerror(failed));
            return;
        }
        pool->thread_count++;
    }
}
