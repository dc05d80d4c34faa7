// SPDX-License-Identifier: Apache-2.0
/*
 * Commands whose output nobody looks at before their end, where the server is `sandboxes serve`: it
 * takes a program with its arguments and tells both streams, as they are, and how it ended, so no
 * shell goes around it. Its sandboxes say that it does. Layer: provider.
 */
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "provider/cloud/commands.h"
#include "provider/daytona/process.h"

#define OUTPUT_DEFAULT (64u << 20)
#define STATUS_MAX 255
#define SIGNAL_MAX 64

// --- The question

static void put_variables(struct json *json, const struct sbx_exec *exec)
{
    json_key(json, "variables");
    json_begin_array(json);
    for (size_t i = 0; i < exec->env_count; i++) {
        json_text(json, exec->env[i].name);
        json_text(json, exec->env[i].value);
    }
    json_end_array(json);
}

void program_body(struct buf *body, const struct daytona_process *process,
                  const struct sbx_exec *exec, bool follow)
{
    struct json json = JSON_INIT(body, false);
    const char *workdir = process->box->workdir;
    json_begin_object(&json);
    json_key(&json, "program");
    json_begin_array(&json);
    cloud_put_words(&json, exec);
    json_end_array(&json);
    put_variables(&json, exec);
    if (exec->cwd || workdir)
        json_put_text(&json, "cwd", exec->cwd ? exec->cwd : workdir);
    json_put_bool(&json, "merge", exec->flags & SBX_EXEC_MERGE);
    json_put_bool(&json, "clean", exec->flags & SBX_EXEC_CLEAN_ENV);
    json_put_int(&json, "timeoutMs", exec->timeout_ms);
    json_put_bool(&json, "follow", follow);
    json_put_uint(&json, "outputLimit", exec->output_limit ? exec->output_limit : OUTPUT_DEFAULT);
    json_end_object(&json);
}

// --- The answer

static int refuse(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the server did not say how the command ended");
}

static int read_stream(const struct jsonv *told, const char *key, struct buf *out,
                       struct sbx_error *err)
{
    const char *text = jsonv_text(told, key);
    if (!text || !base64_decode(out, text, strlen(text)))
        return refuse(err);
    return out->failed ? err_nomem(err) : 0;
}

int program_outcome(const struct jsonv *told, struct sbx_outcome *outcome, struct sbx_error *err)
{
    int64_t status = jsonv_int(told, "exitCode", -1), number = jsonv_int(told, "signal", -1);
    if (status < 0 || status > STATUS_MAX || number < 0 || number > SIGNAL_MAX)
        return refuse(err);
    outcome->exit_code = (int32_t)status;
    outcome->signal = (int32_t)number;
    outcome->flags = (jsonv_bool(told, "timedOut", false) ? SBX_OUTCOME_TIMED_OUT : 0u) |
                     (jsonv_bool(told, "outOfMemory", false) ? SBX_OUTCOME_OOM : 0u) |
                     (jsonv_bool(told, "truncated", false) ? SBX_OUTCOME_TRUNCATED : 0u);
    return 0;
}

// What the server keeps may be less than what was asked for.
static int check_whole(const struct daytona_process *process, const struct sbx_exec *exec,
                       struct sbx_error *err)
{
    size_t asked = exec->output_limit ? exec->output_limit : OUTPUT_DEFAULT;
    if (!(process->outcome.flags & SBX_OUTCOME_TRUNCATED) || process->kept[0].size >= asked ||
        process->kept[1].size >= asked)
        return 0;
    err_set(err, SBX_ERR_QUOTA, "the command's output was more than the server gives");
    return err_hint(err, "write it to a file, and download that");
}

int program_read(struct daytona_process *process, const struct sbx_exec *exec,
                 const struct jsonv *answer, struct sbx_error *err)
{
    const struct jsonv *told = jsonv_get(answer, "program"), *failed = jsonv_get(told, "failed");
    if (failed) {
        int64_t number = jsonv_int(failed, "errno", 0);
        const char *text = jsonv_text(failed, "message");
        err_set(err, SBX_ERR_EXEC, "%.400s", text ? text : "the program can't be run");
        err->sys_errno = number > 0 && number < INT16_MAX ? (int32_t)number : 0;
        return SBX_ERR_EXEC;
    }
    int code = program_outcome(told, &process->outcome, err);
    if (code == 0)
        code = read_stream(told, "stdout", &process->kept[0], err);
    if (code == 0)
        code = read_stream(told, "stderr", &process->kept[1], err);
    return code < 0 ? code : check_whole(process, exec, err);
}

// A connection that ends before the answer ends the command.
int program_run(struct daytona_process *process, const struct sbx_exec *exec,
                struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(2 * SCRIPT_MAX);
    cleanup_jsonv struct jsonv *answer = NULL;
    program_body(&body, process, exec, false);
    int code = daytona_toolbox_call(process->box, "POST", "process/execute", &body,
                                    "cannot run the command", deadline, &answer, err);
    return code < 0 ? code : program_read(process, exec, answer, err);
}
