// SPDX-License-Identifier: Apache-2.0
// Commands: the public calls on a running one. Layer: core.
#include "core/process.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "core/capability.h"
#include "core/check.h"
#include "core/deadline_call.h"
#include "core/sandbox.h"

// Ends the delivery of input and says if it failed.
static int end_feed(struct sbx_process *process, struct sbx_error *err)
{
    struct feed *feed = steal_ptr(process->feed);
    return feed_stop(feed, err);
}

void sbx_process_free(struct sbx_process *process)
{
    if (!process)
        return;
    end_feed(process, NULL);
    if (process->handle)
        process->provider->ops.process_free(process->handle);
    free(process);
}

uint32_t sbx_process_pid(const struct sbx_process *process)
{
    return process ? process->provider->ops.process_pid(process->handle) : 0;
}

static int check_supported(const struct provider *provider, const struct sbx_exec *exec,
                           struct sbx_error *err)
{
    const struct {
        bool asked;
        uint32_t capability;
    } rows[] = {
        {exec->flags & SBX_EXEC_PTY, SBX_CAP_PTY},
        {exec->flags & SBX_EXEC_BACKGROUND, SBX_CAP_BACKGROUND},
        {exec->flags & SBX_EXEC_STDIN, SBX_CAP_STDIN},
        {exec->input_size > 0, SBX_CAP_STDIN},
        {exec->user != NULL, SBX_CAP_USERS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].asked && !(provider->ops.capabilities & rows[i].capability))
            return capability_missing(provider->ops.name, rows[i].capability, err);
    return client_need(provider, provider->ops.process_start, SBX_CAP_STREAMING, err);
}

// A background command's input is delivered before its handle is returned: nobody is there
// afterwards to deliver it. That can't block for ever, since its output is kept rather than waiting
// for a reader.
static int give_input(struct sbx_process *process, const struct sbx_exec *exec, bool copy,
                      const struct sbx_call *call, struct sbx_error *err)
{
    if (exec->flags & SBX_EXEC_BACKGROUND)
        return feed_now(process->provider, process->handle, exec->input, exec->input_size, call,
                        err);
    return feed_start(process->provider, process->handle, exec->input, exec->input_size, copy, call,
                      &process->feed, err);
}

static int provider_start(const struct provider *provider, void *box, enum process_use use,
                          const struct sbx_exec *exec, const struct sbx_call *call,
                          void **ret_handle, struct sbx_error *err)
{
    bool input = exec->flags & SBX_EXEC_STDIN;
    if (use == PROCESS_WHOLE && provider->ops.process_run && !input)
        return provider->ops.process_run(box, exec, call, ret_handle, err);
    if (use == PROCESS_STREAM && provider->ops.process_follow && !input)
        return provider->ops.process_follow(box, exec, call, ret_handle, err);
    return provider->ops.process_start(box, exec, call, ret_handle, err);
}

int process_start(struct sbx_sandbox *sandbox, const struct sbx_exec *exec, enum process_use use,
                  const struct sbx_call *call, struct sbx_process **ret_process,
                  struct sbx_error *err)
{
    const struct provider *provider = sandbox->provider;
    struct deadline deadline = deadline_from_call(call);
    struct sbx_exec plain = *exec;
    struct sbx_call left = *call;
    int code = check_supported(provider, exec, err);
    if (code < 0)
        return code;
    cleanup_process struct sbx_process *process = calloc(1, sizeof(*process));
    if (!process)
        return err_nomem(err);
    process->provider = provider;
    process->flags = exec->flags;
    process->fed = exec->input_size > 0;
    if (process->fed) {
        plain.input = NULL;
        plain.input_size = 0;
        plain.flags |= SBX_EXEC_STDIN;
    }
    guarded(code, sandbox->guard, OPERATION_PROCESS_START, &left, err,
            provider_start(provider, sandbox->box, use, &plain, &left, &process->handle, err));
    if (code < 0)
        return client_done(provider, code, err);
    if (process->fed) {
        code = deadline_call(deadline, &left, err);
        if (code == 0)
            code = give_input(process, exec, use == PROCESS_OPEN, &left, err);
    }
    if (code == 0)
        *ret_process = steal_ptr(process);
    return code;
}

int sbx_process_start(struct sbx_sandbox *sandbox, const struct sbx_exec *exec,
                      const struct sbx_call *call, struct sbx_process **ret_process,
                      struct sbx_error *err)
{
    need_error(err);
    struct sbx_exec full_exec;
    struct sbx_call full_call;
    int code = check_not_null(sandbox, "sandbox", err);
    if (code == 0)
        code = check_not_null(ret_process, "ret_process", err);
    if (code == 0)
        code = check_exec(exec, &full_exec, err);
    if (code == 0)
        code = check_call(call, &full_call, err);
    if (code < 0)
        return code;
    return process_start(sandbox, &full_exec, PROCESS_OPEN, &full_call, ret_process, err);
}

int sbx_process_attach(struct sbx_sandbox *sandbox, uint32_t pid, const struct sbx_call *call,
                       struct sbx_process **ret_process, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = check_not_null(sandbox, "sandbox", err);
    if (code == 0)
        code = check_not_null(ret_process, "ret_process", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code = client_need(sandbox->provider, sandbox->provider->ops.process_attach,
                           SBX_CAP_BACKGROUND, err);
    if (code < 0)
        return code;
    cleanup_free struct sbx_process *process = calloc(1, sizeof(*process));
    if (!process)
        return err_nomem(err);
    process->provider = sandbox->provider;
    process->flags = SBX_EXEC_STDIN | SBX_EXEC_PTY;
    guarded(code, sandbox->guard, OPERATION_PROCESS_ATTACH, &full, err,
            process->provider->ops.process_attach(sandbox->box, pid, &full, &process->handle, err));
    if (code < 0)
        return client_done(sandbox->provider, code, err);
    *ret_process = steal_ptr(process);
    return 0;
}

int sbx_process_read(struct sbx_process *process, const struct sbx_call *call,
                     struct sbx_event *ret_event, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    struct sbx_event event = {0};
    int code = check_not_null(process, "process", err);
    if (code == 0)
        code = check_not_null(ret_event, "ret_event", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0 && process->ended)
        code = err_set(err, SBX_ERR_CONFLICT, "command %u has ended, nothing follows",
                       sbx_process_pid(process));
    if (code < 0)
        return code;
    code = process->provider->ops.process_read(process->handle, &full, &event, err);
    if (code < 0)
        return client_done(process->provider, code, err);
    process->ended = event.kind == SBX_EVENT_EXIT;
    code = process->ended ? end_feed(process, err) : 0;
    if (code == 0)
        *ret_event = event;
    return code;
}

// Input may go to a command that was started for it, and that we are not feeding ourselves.
static int check_input_open(const struct sbx_process *process, struct sbx_error *err)
{
    int code = check_not_null(process, "process", err);
    if (code == 0 && !(process->flags & (SBX_EXEC_STDIN | SBX_EXEC_PTY)))
        code = err_set(err, SBX_ERR_INVALID,
                       "command %u was started without SBX_EXEC_STDIN or SBX_EXEC_PTY",
                       sbx_process_pid(process));
    if (code == 0 && process->fed)
        code = err_set(err, SBX_ERR_INVALID, "command %u was given its whole input by exec.input",
                       sbx_process_pid(process));
    return code;
}

int sbx_process_write(struct sbx_process *process, const void *data, size_t size,
                      const struct sbx_call *call, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = check_input_open(process, err);
    if (code == 0 && size)
        code = check_not_null(data, "data", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code = client_need(process->provider, process->provider->ops.process_write, SBX_CAP_STDIN,
                           err);
    if (code < 0 || size == 0)
        return code;
    code = process->provider->ops.process_write(process->handle, data, size, &full, err);
    return client_done(process->provider, code, err);
}

int sbx_process_close_input(struct sbx_process *process, struct sbx_error *err)
{
    need_error(err);
    int code = check_input_open(process, err);
    if (code == 0)
        code = client_need(process->provider, process->provider->ops.process_close_input,
                           SBX_CAP_STDIN, err);
    if (code < 0)
        return code;
    code = process->provider->ops.process_close_input(process->handle, err);
    return client_done(process->provider, code, err);
}

int sbx_process_resize(struct sbx_process *process, uint16_t rows, uint16_t cols,
                       struct sbx_error *err)
{
    need_error(err);
    int code = check_not_null(process, "process", err);
    if (code == 0 && !(process->flags & SBX_EXEC_PTY))
        code =
            err_set(err, SBX_ERR_INVALID, "command %u has no terminal", sbx_process_pid(process));
    if (code == 0 && (rows == 0 || cols == 0))
        code = err_set(err, SBX_ERR_INVALID, "rows and cols must not be zero");
    if (code == 0)
        code =
            client_need(process->provider, process->provider->ops.process_resize, SBX_CAP_PTY, err);
    if (code < 0)
        return code;
    code = process->provider->ops.process_resize(process->handle, rows, cols, err);
    return client_done(process->provider, code, err);
}

int sbx_process_signal(struct sbx_process *process, int32_t signal, struct sbx_error *err)
{
    need_error(err);
    int code = check_not_null(process, "process", err);
    if (code == 0 && (signal < 1 || signal > 64))
        code = err_set(err, SBX_ERR_INVALID, "signal %d is not one of 1 to 64", signal);
    if (code == 0)
        code = client_need(process->provider, process->provider->ops.process_signal, SBX_CAP_SIGNAL,
                           err);
    if (code < 0)
        return code;
    code = process->provider->ops.process_signal(process->handle, signal, err);
    return client_done(process->provider, code, err);
}

struct list_owner {
    const struct provider *provider;
    struct sbx_process_list list;
};

int sbx_process_list(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                     struct sbx_process_list *ret_list, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = check_not_null(sandbox, "sandbox", err);
    if (code == 0)
        code = check_not_null(ret_list, "ret_list", err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code == 0)
        code = client_need(sandbox->provider, sandbox->provider->ops.process_list,
                           SBX_CAP_BACKGROUND, err);
    if (code < 0)
        return code;
    cleanup_free struct list_owner *owner = calloc(1, sizeof(*owner));
    if (!owner)
        return err_nomem(err);
    owner->provider = sandbox->provider;
    guarded(code, sandbox->guard, OPERATION_PROCESS_LIST, &full, err,
            sandbox->provider->ops.process_list(sandbox->box, &full, &owner->list, err));
    if (code < 0)
        return client_done(sandbox->provider, code, err);
    *ret_list = (struct sbx_process_list){.count = owner->list.count, .items = owner->list.items};
    ret_list->owner = steal_ptr(owner);
    return 0;
}

void sbx_process_list_free(struct sbx_process_list *list)
{
    if (!list || !list->owner)
        return;
    struct list_owner *owner = list->owner;
    owner->provider->ops.process_list_free(&owner->list);
    free(owner);
    *list = (struct sbx_process_list){0};
}
