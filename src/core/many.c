// SPDX-License-Identifier: Apache-2.0
// Many sandboxes and commands at once. Layer: core.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <sandboxes/many.h>

#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "core/check_field.h"
#include "core/crew.h"
#include "core/deadline_call.h"
#include "core/manager.h"

#define COUNT_MAX 1000000u
#define END_MS (60 * 1000)

// What all items of one call share.
struct many {
    struct sbx_manager *manager;
    struct sbx_many options;
    struct deadline deadline;
    atomic_bool stop; // the rest is not begun
};

static int begin(struct sbx_manager *manager, bool needs_manager, size_t count, const void *in,
                 const struct sbx_many *options, const struct sbx_call *call, struct many *ret_many,
                 struct sbx_error *err)
{
    struct sbx_call full;
    int code = needs_manager ? check_not_null(manager, "manager", err) : 0;
    if (code == 0)
        code = check_count(in, count, COUNT_MAX, "items", err);
    if (code == 0)
        code = check_struct(&ret_many->options, sizeof(ret_many->options), options, "options", err);
    if (code == 0 && (ret_many->options.flags & ~(uint32_t)SBX_MANY_ALL_OR_NOTHING))
        code = err_set(err, SBX_ERR_INVALID, "options.flags 0x%x has unknown bits",
                       ret_many->options.flags);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code < 0)
        return code;
    if (!ret_many->options.parallel)
        ret_many->options.parallel = 16;
    ret_many->manager = manager;
    ret_many->deadline = deadline_from_call(&full);
    atomic_init(&ret_many->stop, false);
    return 0;
}

// The call is over as a whole, not one item of it.
static bool is_over(const struct many *many)
{
    return cancel_triggered(many->deadline.cancel) || deadline_poll_ms(many->deadline) == 0;
}

// Whether the next item may begin; its error says why not.
static int next(struct many *many, struct sbx_call *ret_call, struct sbx_error *err)
{
    if (atomic_load(&many->stop) || cancel_triggered(many->deadline.cancel))
        return err_set(err, SBX_ERR_CANCELLED, "not begun: the whole call was stopped");
    return deadline_call(many->deadline, ret_call, err);
}

static void ended(struct many *many, int code)
{
    if (code < 0 && ((many->options.flags & SBX_MANY_ALL_OR_NOTHING) || is_over(many)))
        atomic_store(&many->stop, true);
}

// Errors of all items, wherever they lie.
struct errors {
    const char *first; // address of the first item's error
    size_t step, count;
};

static const struct sbx_error *error_at(const struct errors *errors, size_t index)
{
    return (const struct sbx_error *)(const void *)(errors->first + index * errors->step);
}

// The first failure that is an item's own, with how many there are.
static int sum_up(const struct errors *errors, struct sbx_error *err)
{
    size_t failed = 0, first = 0;
    for (size_t i = 0; i < errors->count; i++) {
        int code = error_at(errors, i)->code;
        if (code == 0)
            continue;
        bool better =
            error_at(errors, first)->code == SBX_ERR_CANCELLED && code != SBX_ERR_CANCELLED;
        if (failed++ == 0 || better)
            first = i;
    }
    if (!failed)
        return 0;
    *err = *error_at(errors, first);
    err_wrap(err, "%zu of %zu failed, number %zu", failed, errors->count, first);
    return err->code;
}

static void end_sandbox(struct sbx_sandbox *sandbox)
{
    struct sbx_error err;
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = END_MS;
    if (sbx_sandbox_destroy(sandbox, &call, &err) < 0 && err.code != SBX_ERR_NOT_FOUND)
        log_warn("core", "sandbox %s was not destroyed: %s", sbx_sandbox_id(sandbox), err.message);
    sbx_sandbox_free(sandbox);
}

// --- creating

struct creation {
    struct many many;
    const struct sbx_spec *specs; // full
    size_t spec_count;
    struct sbx_made *made;
};

static int create_for(struct many *many, const struct sbx_spec *spec, const struct sbx_call *call,
                      struct sbx_sandbox **ret_sandbox, struct sbx_error *err)
{
    return sbx_manager_create(many->manager, spec, many->options.providers,
                              many->options.provider_count, call, ret_sandbox, NULL, err);
}

static void create_one(void *context, size_t index)
{
    struct creation *creation = context;
    struct sbx_made *made = &creation->made[index];
    struct sbx_call call;
    int code = next(&creation->many, &call, &made->err);
    if (code == 0)
        code = create_for(&creation->many, &creation->specs[creation->spec_count > 1 ? index : 0],
                          &call, &made->sandbox, &made->err);
    if (code == 0)
        err_clear(&made->err);
    ended(&creation->many, code);
}

static void undo_one(void *context, size_t index)
{
    struct creation *creation = context;
    struct sbx_made *made = &creation->made[index];
    if (!made->sandbox)
        return;
    end_sandbox(steal_ptr(made->sandbox));
    err_set(&made->err, SBX_ERR_CANCELLED, "destroyed again: the whole call was stopped");
}

static int check_specs(const struct sbx_spec *specs, size_t spec_count, size_t count,
                       struct sbx_error *err)
{
    struct sbx_spec full;
    if (spec_count != 1 && spec_count != count)
        return err_set(err, SBX_ERR_INVALID, "spec_count must be 1 or count");
    int code = check_not_null(specs, "specs", err);
    for (size_t i = 0; code == 0 && i < spec_count; i++)
        if ((code = check_spec(&specs[i], &full, err)) < 0)
            err_wrap(err, "specs[%zu]", i);
    return code;
}

int sbx_create_many(struct sbx_manager *manager, const struct sbx_spec *specs, size_t spec_count,
                    size_t count, const struct sbx_many *options, const struct sbx_call *call,
                    struct sbx_made *ret_made, struct sbx_error *err)
{
    need_error(err);
    struct creation creation = {.specs = specs, .spec_count = spec_count, .made = ret_made};
    int code = begin(manager, true, count, ret_made, options, call, &creation.many, err);
    if (code == 0)
        code = check_specs(specs, spec_count, count, err);
    if (code < 0 || !count)
        return code;
    memset(ret_made, 0, count * sizeof(*ret_made));
    uint32_t width = creation.many.options.parallel;
    crew_run(count, width, create_one, &creation);
    struct errors errors = {(const char *)&ret_made[0].err, sizeof(*ret_made), count};
    code = sum_up(&errors, err);
    if (code < 0 && atomic_load(&creation.many.stop))
        crew_run(count, width, undo_one, &creation);
    return code;
}

// --- running

struct running {
    struct many many;
    const struct sbx_job *jobs;
    struct sbx_ran *ran;
};

static int get_sandbox(struct many *many, const struct sbx_job *job, const struct sbx_call *call,
                       struct sbx_sandbox **ret_sandbox, struct sbx_error *err)
{
    if (many->options.pool)
        return sbx_pool_acquire(many->options.pool, job->spec, call, ret_sandbox, err);
    struct sbx_spec spec;
    int code = check_spec(job->spec, &spec, err);
    spec.lifetime = SBX_LIFETIME_TIED; // it ends here in any case
    return code < 0 ? code : create_for(many, &spec, call, ret_sandbox, err);
}

static void put_sandbox(struct many *many, struct sbx_sandbox *sandbox, bool failed)
{
    if (many->options.pool)
        sbx_pool_release(many->options.pool, sandbox, failed, NULL);
    else
        end_sandbox(sandbox);
}

static int run_job(struct many *many, const struct sbx_job *job, struct sbx_ran *ran)
{
    struct sbx_call call;
    struct sbx_sandbox *sandbox = job->sandbox;
    int code = next(many, &call, &ran->err);
    if (code == 0 && !sandbox)
        code = get_sandbox(many, job, &call, &sandbox, &ran->err);
    if (code < 0)
        return code;
    code = deadline_call(many->deadline, &call, &ran->err);
    if (code == 0)
        code = sbx_run(sandbox, job->exec, &call, &ran->result, &ran->err);
    if (!job->sandbox)
        put_sandbox(many, sandbox, code < 0);
    return code;
}

static void run_one(void *context, size_t index)
{
    struct running *running = context;
    struct sbx_ran *ran = &running->ran[index];
    int code = run_job(&running->many, &running->jobs[index], ran);
    if (code == 0)
        err_clear(&ran->err);
    ended(&running->many, code);
}

static int check_jobs(const struct sbx_job *jobs, size_t count, struct sbx_error *err)
{
    struct sbx_exec exec;
    struct sbx_spec spec;
    int code = check_count(jobs, count, COUNT_MAX, "jobs", err);
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = check_not_null(jobs[i].exec, "exec", err);
        if (code == 0)
            code = check_exec(jobs[i].exec, &exec, err);
        if (code == 0)
            code = check_spec(jobs[i].spec, &spec, err);
        if (code < 0)
            err_wrap(err, "jobs[%zu]", i);
    }
    return code;
}

int sbx_run_many(struct sbx_manager *manager, const struct sbx_job *jobs, size_t count,
                 const struct sbx_many *options, const struct sbx_call *call,
                 struct sbx_ran *ret_ran, struct sbx_error *err)
{
    need_error(err);
    struct running running = {.jobs = jobs, .ran = ret_ran};
    int code = begin(manager, true, count, ret_ran, options, call, &running.many, err);
    if (code == 0)
        code = check_jobs(jobs, count, err);
    if (code < 0 || !count)
        return code;
    memset(ret_ran, 0, count * sizeof(*ret_ran));
    crew_run(count, running.many.options.parallel, run_one, &running);
    struct errors errors = {(const char *)&ret_ran[0].err, sizeof(*ret_ran), count};
    return sum_up(&errors, err);
}

void sbx_ran_deinit(struct sbx_ran *ran, size_t count)
{
    for (size_t i = 0; ran && i < count; i++)
        sbx_result_deinit(&ran[i].result);
}

// --- destroying

struct destruction {
    struct many many;
    struct sbx_sandbox *const *sandboxes;
    struct sbx_error *errors;
};

static void destroy_one(void *context, size_t index)
{
    struct destruction *destruction = context;
    struct sbx_error *err = &destruction->errors[index];
    struct sbx_sandbox *sandbox = destruction->sandboxes[index];
    struct sbx_call call;
    int code = sandbox ? next(&destruction->many, &call, err) : 0;
    if (code == 0 && sandbox)
        code = sbx_sandbox_destroy(sandbox, &call, err);
    if (code == 0 || code == SBX_ERR_NOT_FOUND)
        err_clear(err);
    ended(&destruction->many, code == SBX_ERR_NOT_FOUND ? 0 : code);
    sbx_sandbox_free(sandbox);
}

int sbx_destroy_many(struct sbx_sandbox *const *sandboxes, size_t count,
                     const struct sbx_many *options, const struct sbx_call *call,
                     struct sbx_error *ret_errors, struct sbx_error *err)
{
    need_error(err);
    struct destruction destruction = {.sandboxes = sandboxes};
    int code = begin(NULL, false, count, sandboxes, options, call, &destruction.many, err);
    if (code < 0)
        return code;
    cleanup_free struct sbx_error *own = ret_errors ? NULL : calloc(count + 1, sizeof(*own));
    if (!ret_errors && !own)
        return err_nomem(err);
    destruction.errors = ret_errors ? ret_errors : own;
    memset(destruction.errors, 0, count * sizeof(*own));
    crew_run(count, destruction.many.options.parallel, destroy_one, &destruction);
    struct errors errors = {(const char *)destruction.errors, sizeof(*own), count};
    return sum_up(&errors, err);
}
