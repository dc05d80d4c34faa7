// SPDX-License-Identifier: Apache-2.0
// Running a command to its end: built on starting and reading alone, for every provider. Layer:
// core.
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "core/check.h"
#include "core/deadline_call.h"
#include "core/process.h"

#define DEFAULT_OUTPUT_LIMIT (64u * 1024 * 1024)

// Hands output on until the end. Leaving early is enough to stop the command: freeing its handle
// kills it.
static int pump(struct sbx_process *process, struct deadline deadline, sbx_output_fn on_output,
                void *payload, struct sbx_outcome *ret_outcome, struct sbx_error *err)
{
    for (;;) {
        struct sbx_event event;
        struct sbx_call call;
        int code = deadline_call(deadline, &call, err);
        if (code == 0)
            code = sbx_process_read(process, &call, &event, err);
        if (code < 0)
            return code;
        if (event.kind == SBX_EVENT_EXIT) {
            *ret_outcome = event.outcome;
            return 0;
        }
        if (on_output(payload, (int)event.stream, event.data, event.size) != 0)
            return err_set(err, SBX_ERR_CANCELLED, "the output's receiver stopped the command");
    }
}

static int run(struct sbx_sandbox *sandbox, const struct sbx_exec *exec, enum process_use use,
               const struct sbx_call *call, sbx_output_fn on_output, void *payload,
               struct sbx_outcome *ret_outcome, struct sbx_error *err)
{
    struct deadline deadline = deadline_from_call(call);
    cleanup_process struct sbx_process *process = NULL;
    int code = process_start(sandbox, exec, use, call, &process, err);
    if (code < 0)
        return code;
    return pump(process, deadline, on_output, payload, ret_outcome, err);
}

// Checks what both blocking calls share.
static int check_run(struct sbx_sandbox *sandbox, const struct sbx_exec *exec,
                     const struct sbx_call *call, struct sbx_exec *ret_exec,
                     struct sbx_call *ret_call, struct sbx_error *err)
{
    int code = check_not_null(sandbox, "sandbox", err);
    if (code == 0)
        code = check_exec(exec, ret_exec, err);
    if (code == 0)
        code = check_call(call, ret_call, err);
    if (code == 0 && (ret_exec->flags & (SBX_EXEC_STDIN | SBX_EXEC_BACKGROUND)))
        code =
            err_set(err, SBX_ERR_INVALID,
                    "exec.flags: SBX_EXEC_STDIN and SBX_EXEC_BACKGROUND need sbx_process_start()");
    return code;
}

int sbx_stream_run(struct sbx_sandbox *sandbox, const struct sbx_exec *exec,
                   sbx_output_fn on_output, void *payload, const struct sbx_call *call,
                   struct sbx_outcome *ret_outcome, struct sbx_error *err)
{
    need_error(err);
    struct sbx_exec full_exec;
    struct sbx_call full_call;
    int code = check_run(sandbox, exec, call, &full_exec, &full_call, err);
    if (code == 0 && !on_output)
        code = err_set(err, SBX_ERR_INVALID, "on_output must not be NULL");
    if (code == 0)
        code = check_not_null(ret_outcome, "ret_outcome", err);
    if (code < 0)
        return code;
    return run(sandbox, &full_exec, PROCESS_STREAM, &full_call, on_output, payload, ret_outcome,
               err);
}

struct collected {
    struct buf streams[2]; // stdout, stderr
    bool truncated;
};

static void collected_deinit(struct collected *collected)
{
    buf_deinit(&collected->streams[0]);
    buf_deinit(&collected->streams[1]);
}

static int collect(void *payload, int stream, const void *data, size_t size)
{
    struct collected *collected = payload;
    struct buf *to = &collected->streams[stream == SBX_STDERR];
    size_t room = to->limit - to->size;
    if (size > room) {
        collected->truncated = true;
        size = room;
    }
    buf_add(to, data, size);
    return to->failed; // no memory: stops the command
}

static int give_result(struct collected *collected, const struct sbx_outcome *outcome,
                       struct sbx_result *ret_result, struct sbx_error *err)
{
    struct sbx_result result = {.outcome = *outcome};
    result.out = buf_steal(&collected->streams[0], &result.out_size);
    result.err = buf_steal(&collected->streams[1], &result.err_size);
    if (!result.out || !result.err) {
        sbx_result_deinit(&result);
        return err_nomem(err);
    }
    if (collected->truncated)
        result.outcome.flags |= SBX_OUTCOME_TRUNCATED;
    *ret_result = result;
    return 0;
}

int sbx_run(struct sbx_sandbox *sandbox, const struct sbx_exec *exec, const struct sbx_call *call,
            struct sbx_result *ret_result, struct sbx_error *err)
{
    need_error(err);
    struct sbx_exec full_exec;
    struct sbx_call full_call;
    struct sbx_outcome outcome = {0};
    int code = check_run(sandbox, exec, call, &full_exec, &full_call, err);
    if (code == 0)
        code = check_not_null(ret_result, "ret_result", err);
    if (code < 0)
        return code;
    size_t limit = full_exec.output_limit ? full_exec.output_limit : DEFAULT_OUTPUT_LIMIT;
    if (limit > SIZE_MAX / 4)
        limit = SIZE_MAX / 4; // doubling towards it must not overflow
    cleanup(collected_deinit) struct collected collected = {{BUF_INIT(limit), BUF_INIT(limit)},
                                                            false};
    code = run(sandbox, &full_exec, PROCESS_WHOLE, &full_call, collect, &collected, &outcome, err);
    if (collected.streams[0].failed || collected.streams[1].failed)
        return err_nomem(err);
    return code < 0 ? code : give_result(&collected, &outcome, ret_result, err);
}

void sbx_result_deinit(struct sbx_result *result)
{
    if (!result)
        return;
    free(result->out);
    free(result->err);
    *result = (struct sbx_result){0};
}
