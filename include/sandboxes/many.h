/* SPDX-License-Identifier: Apache-2.0 */
/* Many sandboxes and commands at once, a bounded number of them in flight. */
#ifndef SANDBOXES_MANY_H
#define SANDBOXES_MANY_H

#include <sandboxes/pool.h>
#include <sandboxes/process.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sbx_many_flags {
    SBX_MANY_ALL_OR_NOTHING = 1 << 0 /* the first failure stops the rest; what was made is undone */
};

struct sbx_many {
    size_t size;
    uint32_t parallel; /* in flight at most; 0: 16 */
    uint32_t flags;    /* enum sbx_many_flags */
    /* Names of providers to try for each new sandbox, as of sbx_manager_create(). */
    const char *const *providers;
    size_t provider_count;
    struct sbx_pool
        *pool; /* run: where sandboxes come from and go back to; NULL: made and destroyed */
};
#define SBX_MANY_INIT                                                                              \
    {                                                                                              \
        .size = sizeof(struct sbx_many)                                                            \
    }

/* One new sandbox, or why there is none: err.code is 0 then and only then when there is one. */
struct sbx_made {
    struct sbx_sandbox *sandbox; /* the caller's; NULL on failure */
    struct sbx_error err;
};

/*
 * Creates `count` sandboxes: specs[i] for the i-th, or specs[0] for all when spec_count is 1.
 * Results in the order of the specifications. When cancelled, or when the call's time is over, the
 * rest is not begun and all that were made are destroyed. Returns 0 when all were made; else the
 * first failure with how many failed.
 */
SBX_API int sbx_create_many(struct sbx_manager *manager, const struct sbx_spec *specs,
                            size_t spec_count, size_t count, const struct sbx_many *options,
                            const struct sbx_call *call, struct sbx_made *ret_made,
                            struct sbx_error *err);

/* One command: in the sandbox given, else in one of its own, which ends with it. */
struct sbx_job {
    struct sbx_sandbox *sandbox; /* NULL: one made as spec says, or acquired from the pool */
    const struct sbx_spec *spec; /* NULL: defaults; the pool's */
    const struct sbx_exec *exec;
};

/* err.code 0: the command ran, result says how. Free each with sbx_ran_deinit(). */
struct sbx_ran {
    struct sbx_result result;
    struct sbx_error err;
};

/* Runs all of them. Results in the order of the jobs; the return value as of sbx_create_many():
 * that a command ends with another exit code than 0 is no failure. */
SBX_API int sbx_run_many(struct sbx_manager *manager, const struct sbx_job *jobs, size_t count,
                         const struct sbx_many *options, const struct sbx_call *call,
                         struct sbx_ran *ret_ran, struct sbx_error *err);
SBX_API void sbx_ran_deinit(struct sbx_ran *ran, size_t count);

/* Destroys and frees all of them (NULL entries are fine). One that is gone already counts as
 * destroyed. ret_errors (may be NULL) receives one error an entry, with code 0 for success. After
 * INVALID and NOMEM nothing was done. */
SBX_API int sbx_destroy_many(struct sbx_sandbox *const *sandboxes, size_t count,
                             const struct sbx_many *options, const struct sbx_call *call,
                             struct sbx_error *ret_errors, struct sbx_error *err);

#ifdef __cplusplus
}
#endif
#endif
