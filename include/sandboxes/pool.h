/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warm sandboxes, ready to be used, and at most so many at a time. docs/orchestration.md tells what
 * is handed out to whom.
 */
#ifndef SANDBOXES_POOL_H
#define SANDBOXES_POOL_H

#include <sandboxes/manager.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sbx_pool_flags {
    /* A sandbox that was used and released is handed out again, with what its user left in it. Else
       it is destroyed, and a fresh one takes its place. */
    SBX_POOL_REUSE = 1 << 0,
    /* Hand out warm sandboxes without asking whether they still live. */
    SBX_POOL_TRUST = 1 << 1
};

/* Prepares a fresh sandbox before anybody gets it, e.g. installs what all users need. On any
 * thread, several at once. An error makes the sandbox useless: it is destroyed. */
typedef int (*sbx_prepare_fn)(void *payload, struct sbx_sandbox *sandbox,
                              const struct sbx_call *call, struct sbx_error *err);

struct sbx_pool_options {
    size_t size;
    const struct sbx_spec *spec;  /* what is kept warm, and given when acquire names none; copied */
    const char *const *providers; /* to try, as of sbx_manager_create(); copied */
    size_t provider_count;
    uint32_t flags; /* enum sbx_pool_flags */
    uint32_t
        min_idle; /* kept ready in the background; 0: none, sandboxes are made when asked for */
    uint32_t max_total; /* in use, ready and being made together; 0: 10 */
    uint32_t max_idle;  /* ready ones beyond that are destroyed; 0: max_total */
    uint32_t parallel;  /* made and destroyed in the background at a time; 0: 8 */
    uint32_t reserved;  /* 0 */
    int64_t ttl_ms;     /* older ones are not handed out any more but destroyed; 0: any age */
    int64_t idle_ms;    /* nor those that nobody wanted for so long; 0: any time */
    int64_t wait_ms; /* how long acquire waits for a free place; 0: as long as its call may take */
    sbx_prepare_fn prepare;        /* may be NULL */
    void *payload;                 /* of prepare */
    const struct sbx_clock *clock; /* of ages; borrowed */
};
#define SBX_POOL_OPTIONS_INIT                                                                      \
    {                                                                                              \
        .size = sizeof(struct sbx_pool_options)                                                    \
    }

/*
 * Opens a pool; min_idle sandboxes begin to be made in the background at once. All its sandboxes
 * are tied to this process (SBX_LIFETIME_TIED). Threads are started when there is work for them.
 * After fork() the child must not use it: acquire and release answer CONFLICT there, close does
 * nothing.
 */
struct sbx_pool;
SBX_API int sbx_pool_open(struct sbx_manager *manager, const struct sbx_pool_options *options,
                          struct sbx_pool **ret_pool, struct sbx_error *err);

/*
 * A sandbox that nobody else uses: a warm one if one fits (the same provider, image, resources,
 * network, mounts, ports, environment, labels), else a new one. spec NULL: the pool's. With all
 * max_total places taken, a warm one that doesn't fit makes room, else callers wait in the order in
 * which they came. The handle is the pool's: give it back with sbx_pool_release(), don't free it.
 * Errors: QUOTA (no place became free in time), CONFLICT (the pool is being closed), and those of
 * sbx_manager_create().
 */
SBX_API int sbx_pool_acquire(struct sbx_pool *pool, const struct sbx_spec *spec,
                             const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                             struct sbx_error *err);

/* Gives it back; the handle is no longer the caller's. `discard`: 1 destroys it in any case. Never
 * waits: what is destroyed is destroyed in the background. NOT_FOUND if it is not in use here. */
SBX_API int sbx_pool_release(struct sbx_pool *pool, struct sbx_sandbox *sandbox, uint32_t discard,
                             struct sbx_error *err);

/* Waits until min_idle sandboxes are ready, or as many as max_total leaves room for. The error is
 * the one that making them failed with. */
SBX_API int sbx_pool_warm(struct sbx_pool *pool, const struct sbx_call *call,
                          struct sbx_error *err);

/* Destroys the warm ones, in the background; those of min_idle are made anew. */
SBX_API void sbx_pool_clear(struct sbx_pool *pool);

struct sbx_pool_stats {
    size_t size;
    uint32_t idle;     /* ready */
    uint32_t busy;     /* handed out */
    uint32_t creating; /* being made, in the background or for a caller */
    uint32_t ending;   /* being destroyed */
    uint32_t waiting;  /* callers that wait for a place */
    uint32_t reserved;
    uint64_t created;
    uint64_t destroyed;
    uint64_t hits;     /* acquired warm */
    uint64_t reused;   /* of these, used before */
    uint64_t misses;   /* acquired new */
    uint64_t timeouts; /* acquire gave up waiting */
    uint64_t failures; /* to make one */
    uint64_t dead;     /* found dead when they were to be handed out */
    uint64_t expired;  /* by age or idle time */
    uint64_t evicted;  /* made room for one of another kind, or were more than max_idle */
};
#define SBX_POOL_STATS_INIT                                                                        \
    {                                                                                              \
        .size = sizeof(struct sbx_pool_stats)                                                      \
    }
SBX_API void sbx_pool_stats(struct sbx_pool *pool, struct sbx_pool_stats *ret_stats);

/*
 * Destroys all its sandboxes, also those in use, whose handles become invalid: nobody may use them
 * any more. Callers that wait are told CONFLICT; returns when nothing of the pool is left. NULL is
 * fine.
 */
SBX_API void sbx_pool_close(struct sbx_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
