// SPDX-License-Identifier: Apache-2.0
// Who gets which sandbox of a pool, or a place for one. Layer: core.
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "core/pool.h"
#include "core/retry.h"

int64_t pool_now(const struct sbx_pool *pool)
{
    return retry_now_ms(pool->options.clock);
}

uint32_t pool_total(const struct sbx_pool *pool)
{
    return pool->idle.count + pool->busy.count + pool->doomed.count + pool->creating + pool->ending;
}

void pool_list_push(struct pool_list *list, struct pool_entry *entry)
{
    entry->prev = NULL;
    entry->next = list->first;
    if (list->first)
        list->first->prev = entry;
    else
        list->last = entry;
    list->first = entry;
    list->count++;
}

void pool_list_remove(struct pool_list *list, struct pool_entry *entry)
{
    *(entry->prev ? &entry->prev->next : &list->first) = entry->next;
    *(entry->next ? &entry->next->prev : &list->last) = entry->prev;
    entry->prev = entry->next = NULL;
    list->count--;
}

static bool too_old(const struct sbx_pool *pool, const struct pool_entry *entry, int64_t now)
{
    const struct sbx_pool_options *options = &pool->options;
    return (options->ttl_ms && now - entry->born_ms >= options->ttl_ms) ||
           (options->idle_ms && now - entry->idle_ms >= options->idle_ms);
}

void pool_expire(struct sbx_pool *pool)
{
    if (!pool->options.ttl_ms && !pool->options.idle_ms)
        return;
    int64_t now = pool_now(pool);
    struct pool_entry *next;
    for (struct pool_entry *entry = pool->idle.first; entry; entry = next) {
        next = entry->next;
        if (!too_old(pool, entry, now))
            continue;
        pool_list_remove(&pool->idle, entry);
        pool_list_push(&pool->doomed, entry);
        pool->stats.expired++;
    }
}

static struct pool_entry *find_idle(const struct sbx_pool *pool, const uint8_t *key)
{
    struct pool_entry *entry = pool->idle.first;
    while (entry && memcmp(entry->key, key, SHA256_SIZE) != 0)
        entry = entry->next;
    return entry;
}

uint32_t pool_missing(const struct sbx_pool *pool)
{
    uint32_t ready = pool->warming;
    for (const struct pool_entry *entry = pool->idle.first; entry; entry = entry->next)
        ready += memcmp(entry->key, pool->key, SHA256_SIZE) == 0;
    uint32_t total = pool_total(pool), room = pool->options.max_total - total;
    if (pool->closing || total >= pool->options.max_total || ready >= pool->options.min_idle)
        return 0;
    uint32_t missing = pool->options.min_idle - ready;
    return missing < room ? missing : room;
}

// The one that is least missed, to make room: one that is to end anyway, else the longest unused.
static struct pool_entry *take_old(struct sbx_pool *pool)
{
    struct pool_entry *entry = pool->doomed.last;
    if (entry) {
        pool_list_remove(&pool->doomed, entry);
    } else if ((entry = pool->idle.last)) {
        pool_list_remove(&pool->idle, entry);
        pool->stats.evicted++;
    }
    return entry;
}

bool pool_take(struct sbx_pool *pool, const uint8_t *key, struct pool_grant *ret_grant)
{
    struct pool_entry *entry = find_idle(pool, key);
    if (entry) {
        pool_list_remove(&pool->idle, entry);
        pool_list_push(&pool->busy, entry);
        *ret_grant = (struct pool_grant){POOL_ENTRY, entry};
        return true;
    }
    bool full = pool_total(pool) >= pool->options.max_total;
    struct pool_entry *old = full ? take_old(pool) : NULL;
    if (full && !old)
        return false;
    pool->creating++;
    *ret_grant = (struct pool_grant){POOL_PLACE, old};
    return true;
}

static void wake(struct sbx_pool *pool, struct pool_grant grant)
{
    struct pool_waiter *waiter = pool->waiters;
    pool->waiters = waiter->next;
    waiter->grant = grant;
    ssize_t written = write(waiter->wake_fd, "", 1); // one byte into an empty pipe
    (void)written;
}

void pool_dispatch(struct sbx_pool *pool)
{
    struct pool_grant grant;
    pool_expire(pool);
    while (pool->waiters && pool_take(pool, pool->waiters->key, &grant))
        wake(pool, grant);
    pool_kick(pool);
}

void pool_turn_away(struct sbx_pool *pool)
{
    while (pool->waiters)
        wake(pool, (struct pool_grant){POOL_CLOSED, NULL});
}

void pool_give_back(struct sbx_pool *pool, struct pool_grant *grant)
{
    if (grant->kind == POOL_ENTRY) {
        pool_list_remove(&pool->busy, grant->entry);
        pool_list_push(&pool->idle, grant->entry);
    } else if (grant->kind == POOL_PLACE) {
        pool->creating--;
        if (grant->entry)
            pool_list_push(&pool->doomed, grant->entry);
    }
    pool_dispatch(pool);
}

static void enqueue(struct sbx_pool *pool, struct pool_waiter *waiter)
{
    struct pool_waiter **at = &pool->waiters;
    while (*at)
        at = &(*at)->next;
    *at = waiter;
    pool->stats.waiting++;
}

// After the wait, however it ended: out of the queue if nothing was granted.
static void dequeue(struct sbx_pool *pool, struct pool_waiter *waiter)
{
    struct pool_waiter **at = &pool->waiters;
    while (*at && *at != waiter)
        at = &(*at)->next;
    if (*at)
        *at = waiter->next;
    pool->stats.waiting--;
}

static int say_full(struct sbx_pool *pool, int code, struct sbx_error *err)
{
    if (code != SBX_ERR_TIMEOUT)
        return code;
    pool->stats.timeouts++;
    err_set(err, SBX_ERR_QUOTA,
            "pool limit reached: %u sandboxes, %u of them in use; none became "
            "free in time",
            pool->options.max_total, pool->busy.count);
    return err_hint(err, "release sandboxes sooner, wait longer, or raise max_total");
}

// The queue's first place is decided with the lock held: what was granted in the last moment
// counts.
static int wait_in_queue(struct sbx_pool *pool, const struct pool_want *want, int read_fd,
                         struct pool_waiter *waiter, struct sbx_error *err)
{
    struct deadline deadline = want->deadline;
    if (pool->options.wait_ms)
        deadline = deadline_min(deadline, clock_boot_ms() + pool->options.wait_ms);
    enqueue(pool, waiter);
    pthread_mutex_unlock(&pool->lock);
    int code = deadline_wait(deadline, read_fd, POLLIN, NULL, err);
    pthread_mutex_lock(&pool->lock);
    dequeue(pool, waiter);
    if (code == SBX_ERR_CANCELLED)
        pool_give_back(pool, &waiter->grant);
    else if (waiter->grant.kind != POOL_NOTHING)
        code = 0;
    return say_full(pool, code, err);
}

// With the lock held, which is released while waiting.
static int wait_locked(struct sbx_pool *pool, const struct pool_want *want,
                       struct pool_grant *ret_grant, struct sbx_error *err)
{
    pool_expire(pool);
    if (!pool->waiters && pool_take(pool, want->key, ret_grant))
        return 0;
    int ends[2];
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe to wait for a sandbox");
    struct pool_waiter waiter = {.key = want->key, .wake_fd = ends[1]};
    int code = wait_in_queue(pool, want, ends[0], &waiter, err);
    close(ends[0]);
    close(ends[1]);
    if (code == 0 && waiter.grant.kind == POOL_CLOSED)
        code = err_set(err, SBX_ERR_CONFLICT, "the pool is being closed");
    if (code == 0)
        *ret_grant = waiter.grant;
    return code;
}

int pool_wait(struct sbx_pool *pool, const struct pool_want *want, struct pool_grant *ret_grant,
              struct sbx_error *err)
{
    pthread_mutex_lock(&pool->lock);
    int code = wait_locked(pool, want, ret_grant, err);
    pool_kick(pool);
    pthread_mutex_unlock(&pool->lock);
    return code;
}
