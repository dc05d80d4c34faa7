// SPDX-License-Identifier: Apache-2.0
// Pools of warm sandboxes: the public calls. Layer: core.
#include "core/pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "core/check.h"
#include "core/deadline_call.h"
#include "core/sandbox.h"
#include "core/spec_key.h"

#define TOTAL_MAX 100000u
#define WARM_POLL_MS 2 // a rare call, made at a program's start

static int check_options(const struct sbx_pool_options *options, struct sbx_error *err)
{
    const struct sbx_pool_options *o = options;
    if (o->flags & ~(uint32_t)(SBX_POOL_REUSE | SBX_POOL_TRUST))
        return err_set(err, SBX_ERR_INVALID, "options.flags 0x%x has unknown bits", o->flags);
    if (o->max_total > TOTAL_MAX || o->reserved)
        return err_set(err, SBX_ERR_INVALID, "options.max_total must be at most %u, reserved 0",
                       TOTAL_MAX);
    if (o->parallel > POOL_PARALLEL_MAX)
        return err_set(err, SBX_ERR_INVALID, "options.parallel must be at most %d",
                       POOL_PARALLEL_MAX);
    if (o->ttl_ms < 0 || o->idle_ms < 0 || o->wait_ms < 0)
        return err_set(err, SBX_ERR_INVALID,
                       "options.ttl_ms, idle_ms and wait_ms must not be negative");
    return 0;
}

static int fill_options(const struct sbx_pool_options *options, struct sbx_pool_options *ret_full,
                        struct sbx_error *err)
{
    int code = check_struct(ret_full, sizeof(*ret_full), options, "options", err);
    if (code == 0)
        code = check_options(ret_full, err);
    if (code < 0)
        return code;
    if (!ret_full->max_total)
        ret_full->max_total = 10;
    if (!ret_full->max_idle)
        ret_full->max_idle = ret_full->max_total;
    if (!ret_full->parallel)
        ret_full->parallel = 8;
    if (ret_full->min_idle > ret_full->max_idle || ret_full->max_idle > ret_full->max_total)
        return err_set(err, SBX_ERR_INVALID,
                       "options.min_idle must be at most max_idle, and that at most max_total");
    return 0;
}

static int fill(struct sbx_pool *pool, struct sbx_error *err)
{
    struct sbx_spec spec;
    struct sbx_pool_options *options = &pool->options;
    struct sbx_client *client = manager_client(pool->manager);
    int code = check_spec(options->spec, &spec, err);
    if (code == 0)
        code = names_check(client, options->providers, options->provider_count, err);
    if (code == 0)
        code = spec_copy_init(&spec, &pool->spec, err);
    if (code == 0)
        code = names_copy(options->providers, options->provider_count, &pool->names, err);
    if (code == 0)
        code = manager_names(pool->manager, &pool->spec.spec, pool->names.items, pool->names.count,
                             &pool->own_names, err);
    if (code == 0)
        code = spec_key(&pool->spec.spec, &pool->own_names, pool->key, err);
    if (code == 0)
        code = sbx_cancel_new(&pool->stop, err);
    return code;
}

static void pool_free(struct sbx_pool *pool)
{
    spec_copy_deinit(&pool->spec);
    names_deinit(&pool->names);
    names_deinit(&pool->own_names);
    sbx_cancel_free(pool->stop);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int sbx_pool_open(struct sbx_manager *manager, const struct sbx_pool_options *options,
                  struct sbx_pool **ret_pool, struct sbx_error *err)
{
    need_error(err);
    struct sbx_pool_options full;
    int code = check_not_null(manager, "manager", err);
    if (code == 0)
        code = check_not_null(ret_pool, "ret_pool", err);
    if (code == 0)
        code = fill_options(options, &full, err);
    if (code < 0)
        return code;
    struct sbx_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return err_nomem(err);
    pool->manager = manager;
    pool->options = full;
    pool->owner = getpid();
    pthread_mutex_init(&pool->lock, NULL);
    thread_cond_init(&pool->work);
    thread_cond_init(&pool->changed);
    code = fill(pool, err);
    if (code < 0) {
        pool_free(pool);
        return code;
    }
    pool->refill_at = INT64_MIN;
    pthread_mutex_lock(&pool->lock);
    pool_kick(pool);
    pthread_mutex_unlock(&pool->lock);
    *ret_pool = pool;
    return 0;
}

// Its threads are the parent's, and so are its sandboxes. getpid(2) costs less than a lock.
static int check_pool(const struct sbx_pool *pool, struct sbx_error *err)
{
    int code = check_not_null(pool, "pool", err);
    if (code == 0 && pool->owner != getpid()) {
        err_set(err, SBX_ERR_CONFLICT, "the pool belongs to the process that opened it");
        code = err_hint(err, "open a pool in the child, after fork()");
    }
    return code;
}

static int say_closing(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_CONFLICT, "the pool is being closed");
}

static bool lives(const struct sbx_pool *pool, struct pool_entry *entry, struct deadline deadline)
{
    struct sbx_info info = SBX_INFO_INIT;
    struct sbx_error ignored;
    struct sbx_call call;
    if (pool->options.flags & SBX_POOL_TRUST)
        return true;
    // A deadline that has passed says nothing about the sandbox: whoever uses it will be told.
    if (deadline_call(deadline, &call, &ignored) < 0)
        return true;
    return sbx_sandbox_info(entry->sandbox, &call, &info, &ignored) == 0 &&
           info.state == SBX_STATE_RUNNING;
}

// Turns a warm one that is dead into a place: whoever got it makes another there.
static void check_grant(struct sbx_pool *pool, const struct pool_want *want,
                        struct pool_grant *grant)
{
    if (grant->kind != POOL_ENTRY)
        return;
    bool alive = lives(pool, grant->entry, want->deadline);
    pthread_mutex_lock(&pool->lock);
    if (alive) {
        pool->stats.hits++;
        pool->stats.reused += grant->entry->used;
    } else {
        pool->stats.dead++;
        pool_list_remove(&pool->busy, grant->entry);
        pool->creating++;
        grant->kind = POOL_PLACE;
        // Asked once: a service that is down must not be waited for on its account.
        grant->entry->sandbox->guard = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
}

static int make_for(struct sbx_pool *pool, const struct pool_want *want, struct pool_grant *grant,
                    struct sbx_error *err)
{
    struct pool_entry *entry = NULL;
    int code = pool_make(pool, want, grant->entry, &entry, err);
    pthread_mutex_lock(&pool->lock);
    if (code == 0) {
        pool_list_push(&pool->busy, entry);
        pool->stats.misses++;
    } else {
        pool_dispatch(pool); // the place is free again
    }
    pthread_mutex_unlock(&pool->lock);
    *grant = (struct pool_grant){POOL_ENTRY, entry};
    return code;
}

// What a pool that is being closed has just made stays with it: close() ends all that is in use.
static int give(struct sbx_pool *pool, const struct pool_grant *grant,
                struct sbx_sandbox **ret_sandbox, struct sbx_error *err)
{
    pthread_mutex_lock(&pool->lock);
    bool closing = pool->closing;
    pthread_mutex_unlock(&pool->lock);
    if (closing)
        return say_closing(err);
    *ret_sandbox = grant->entry->sandbox;
    return 0;
}

static int acquire(struct sbx_pool *pool, const struct pool_want *want,
                   struct sbx_sandbox **ret_sandbox, struct sbx_error *err)
{
    struct pool_grant grant;
    int code = pool_wait(pool, want, &grant, err);
    if (code < 0)
        return code;
    check_grant(pool, want, &grant);
    if (grant.kind == POOL_PLACE)
        code = make_for(pool, want, &grant, err);
    return code < 0 ? code : give(pool, &grant, ret_sandbox, err);
}

// Between this and leave(), close() waits.
static int enter(struct sbx_pool *pool, struct sbx_error *err)
{
    pthread_mutex_lock(&pool->lock);
    bool closing = pool->closing;
    pool->inside += !closing;
    pthread_mutex_unlock(&pool->lock);
    return closing ? say_closing(err) : 0;
}

static void leave(struct sbx_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->inside--;
    if (pool->closing)
        pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

// The pool's own specification is known by its key already.
static void want_own(const struct sbx_pool *pool, struct pool_want *ret_want)
{
    ret_want->spec = &pool->spec.spec;
    ret_want->names = &pool->own_names;
    memcpy(ret_want->key, pool->key, sizeof(ret_want->key));
}

static int acquire_spec(struct sbx_pool *pool, const struct sbx_spec *spec,
                        struct deadline deadline, struct sbx_sandbox **ret_sandbox,
                        struct sbx_error *err)
{
    struct sbx_spec full;
    struct pool_want want = {.spec = &full, .deadline = deadline};
    cleanup(names_deinit) struct names names = {0};
    if (!spec) {
        want_own(pool, &want);
        return acquire(pool, &want, ret_sandbox, err);
    }
    want.names = &names;
    int code = check_spec(spec, &full, err);
    if (code == 0)
        code = manager_names(pool->manager, &full, full.provider ? NULL : pool->names.items,
                             full.provider ? 0 : pool->names.count, &names, err);
    if (code == 0)
        code = spec_key(&full, &names, want.key, err);
    return code < 0 ? code : acquire(pool, &want, ret_sandbox, err);
}

int sbx_pool_acquire(struct sbx_pool *pool, const struct sbx_spec *spec,
                     const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                     struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = check_pool(pool, err);
    if (code == 0)
        code = check_not_null(ret_sandbox, "ret_sandbox", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code = enter(pool, err);
    if (code < 0)
        return code;
    code = acquire_spec(pool, spec, deadline_from_call(&full), ret_sandbox, err);
    leave(pool);
    return code;
}

static struct pool_entry *find_busy(const struct sbx_pool *pool, const struct sbx_sandbox *sandbox)
{
    struct pool_entry *entry = pool->busy.first;
    while (entry && entry->sandbox != sandbox)
        entry = entry->next;
    return entry;
}

static void give_back(struct sbx_pool *pool, struct pool_entry *entry, bool discard)
{
    bool again = !discard && (pool->options.flags & SBX_POOL_REUSE) && !pool->closing;
    pool_list_remove(&pool->busy, entry);
    entry->used = true;
    entry->idle_ms = pool_now(pool);
    if (again && !pool->waiters && pool->idle.count >= pool->options.max_idle) {
        pool->stats.evicted++;
        again = false;
    }
    pool_list_push(again ? &pool->idle : &pool->doomed, entry);
    pool_dispatch(pool);
}

int sbx_pool_release(struct sbx_pool *pool, struct sbx_sandbox *sandbox, uint32_t discard,
                     struct sbx_error *err)
{
    need_error(err);
    int code = check_pool(pool, err);
    if (code == 0)
        code = check_not_null(sandbox, "sandbox", err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&pool->lock);
    struct pool_entry *entry = find_busy(pool, sandbox);
    if (entry)
        give_back(pool, entry, discard != 0);
    else
        code = err_set(err, SBX_ERR_NOT_FOUND, "the sandbox is not in use from this pool");
    pthread_mutex_unlock(&pool->lock);
    return code;
}

// 1: nothing is missing any more. The error is one that came since.
static int warm_now(struct sbx_pool *pool, uint64_t failures, struct sbx_error *err)
{
    pthread_mutex_lock(&pool->lock);
    pool_kick(pool);
    int code = !pool->warming && !pool_missing(pool);
    if (!code && pool->refill_failures && pool->stats.failures > failures) {
        *err = pool->refill_error;
        code = err->code;
    }
    pthread_mutex_unlock(&pool->lock);
    return code;
}

static int wait_warm(struct sbx_pool *pool, struct deadline deadline, struct sbx_error *err)
{
    pthread_mutex_lock(&pool->lock);
    uint64_t failures = pool->stats.failures;
    pool->refill_at = INT64_MIN; // asked for: now, whatever failed before
    pthread_mutex_unlock(&pool->lock);
    for (;;) {
        int code = warm_now(pool, failures, err);
        if (code)
            return code < 0 ? code : 0;
        struct deadline nap = deadline_min(deadline, clock_boot_ms() + WARM_POLL_MS);
        code = deadline_wait(nap, -1, 0, NULL, err);
        if (code != SBX_ERR_TIMEOUT || deadline_poll_ms(deadline) == 0)
            return code;
    }
}

int sbx_pool_warm(struct sbx_pool *pool, const struct sbx_call *call, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = check_pool(pool, err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code = enter(pool, err);
    if (code < 0)
        return code;
    code = wait_warm(pool, deadline_from_call(&full), err);
    leave(pool);
    return code;
}

static void doom_all(struct sbx_pool *pool, struct pool_list *list)
{
    while (list->first) {
        struct pool_entry *entry = list->first;
        pool_list_remove(list, entry);
        pool_list_push(&pool->doomed, entry);
    }
}

void sbx_pool_clear(struct sbx_pool *pool)
{
    struct sbx_error ignored;
    if (check_pool(pool, &ignored) < 0)
        return;
    pthread_mutex_lock(&pool->lock);
    doom_all(pool, &pool->idle);
    pool_kick(pool);
    pthread_mutex_unlock(&pool->lock);
}

void sbx_pool_stats(struct sbx_pool *pool, struct sbx_pool_stats *ret_stats)
{
    struct sbx_error ignored;
    if (check_pool(pool, &ignored) < 0 || !ret_stats ||
        check_room(ret_stats->size, "ret_stats", &ignored) < 0)
        return;
    pthread_mutex_lock(&pool->lock);
    pool_dispatch(pool); // what is too old by now is not told as ready
    struct sbx_pool_stats stats = pool->stats;
    stats.idle = pool->idle.count;
    stats.busy = pool->busy.count;
    stats.creating = pool->creating;
    stats.ending = pool->ending + pool->doomed.count;
    pthread_mutex_unlock(&pool->lock);
    check_give(ret_stats, ret_stats->size, &stats, sizeof(stats));
}

// Nobody is inside any more: what is left ends, by the workers and by this thread.
static void end_all(struct sbx_pool *pool)
{
    doom_all(pool, &pool->idle);
    doom_all(pool, &pool->busy);
    pool->quit = true;
    pool_kick(pool);
    pthread_cond_broadcast(&pool->work);
    while (pool->doomed.first) {
        struct pool_entry *entry = pool->doomed.first;
        pool_list_remove(&pool->doomed, entry);
        pthread_mutex_unlock(&pool->lock);
        pool_end(entry);
        pthread_mutex_lock(&pool->lock);
    }
}

void sbx_pool_close(struct sbx_pool *pool)
{
    if (!pool || pool->owner != getpid())
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pool_turn_away(pool);
    sbx_cancel_trigger(pool->stop);
    while (pool->inside || pool->warming)
        thread_wait(&pool->changed, &pool->lock, -1);
    end_all(pool);
    uint32_t threads = pool->thread_count;
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < threads; i++)
        pthread_join(pool->threads[i], NULL);
    pool_free(pool);
}
