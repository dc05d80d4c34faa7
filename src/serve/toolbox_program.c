// SPDX-License-Identifier: Apache-2.0
/*
 * Programs as they are, for our own client of Daytona's protocol: no shell goes between, streams
 * come apart and whole in Base64, with the outcome as the library tells it. A client that goes away
 * ends the command. Daytona itself has nothing like it. Layer: serve.
 */
#include "serve/toolbox_program.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/process.h"

#define REPLY_MAX (128u << 20)
#define OUTPUT_MAX (32u << 20)
#define WORDS_MAX 100000
#define LOOK_MS 100 // how often it is seen whether the client is still there

struct ask {
    struct sbx_exec exec;
    const char **words;
    struct sbx_pair *variables; // texts are borrowed from the body
    bool follow;                // output is sent as it comes
};

struct told {
    struct buf streams[2];
    struct sbx_outcome outcome;
};

// --- What is asked for

static int read_texts(const struct jsonv *list, const char *field, const char ***ret_texts,
                      size_t *ret_count, struct sbx_error *err)
{
    size_t count = jsonv_count(list);
    if (count > WORDS_MAX)
        return err_set(err, SBX_ERR_INVALID, "%s: more than %d", field, WORDS_MAX);
    cleanup_free const char **texts = calloc(count + 1, sizeof(*texts));
    if (!texts)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        texts[i] = jsonv_as_text(jsonv_at(list, i));
        if (!texts[i])
            return err_set(err, SBX_ERR_INVALID, "%s must be texts without NUL", field);
    }
    *ret_texts = steal_ptr(texts);
    *ret_count = count;
    return 0;
}

static int read_variables(const struct jsonv *body, struct ask *ask, struct sbx_error *err)
{
    cleanup_free const char **texts = NULL;
    size_t count;
    int code = read_texts(jsonv_get(body, "variables"), "variables", &texts, &count, err);
    if (code < 0)
        return code;
    if (count % 2)
        return err_set(err, SBX_ERR_INVALID, "variables must be names with values");
    ask->exec.env_count = count / 2;
    ask->variables = calloc(count / 2 + 1, sizeof(*ask->variables));
    if (!ask->variables)
        return err_nomem(err);
    for (size_t i = 0; i < count / 2; i++)
        ask->variables[i] = (struct sbx_pair){texts[2 * i], texts[2 * i + 1]};
    ask->exec.env = ask->variables;
    return 0;
}

static int read_ask(const struct jsonv *body, struct ask *ask, struct sbx_error *err)
{
    int code = read_texts(jsonv_get(body, "program"), "program", &ask->words, &ask->exec.argc, err);
    if (code == 0)
        code = read_variables(body, ask, err);
    if (code < 0)
        return code;
    int64_t limit = jsonv_int(body, "outputLimit", OUTPUT_MAX);
    ask->exec.argv = ask->words;
    ask->exec.cwd = jsonv_text(body, "cwd");
    ask->follow = jsonv_bool(body, "follow", false);
    ask->exec.timeout_ms = jsonv_int(body, "timeoutMs", 0);
    ask->exec.flags = (jsonv_bool(body, "merge", false) ? SBX_EXEC_MERGE : 0u) |
                      (jsonv_bool(body, "clean", false) ? SBX_EXEC_CLEAN_ENV : 0u);
    if (limit <= 0 || ask->exec.timeout_ms < 0)
        return err_set(err, SBX_ERR_INVALID, "outputLimit and timeoutMs can't be negative");
    ask->exec.output_limit = limit < OUTPUT_MAX ? (uint64_t)limit : OUTPUT_MAX;
    return 0;
}

// --- The command

static void keep(struct told *told, const struct sbx_event *event)
{
    struct buf *to = &told->streams[event->stream == SBX_STDERR];
    size_t room = to->limit - to->size, size = event->size < room ? event->size : room;
    buf_add(to, event->data, size);
    if (size < event->size)
        told->outcome.flags |= SBX_OUTCOME_TRUNCATED;
}

// Freeing the handle of a command that still runs ends it.
static int follow(struct httpd_request *request, struct sbx_process *process, struct told *told,
                  struct sbx_error *err)
{
    struct sbx_call call = serve_call(request, LOOK_MS);
    struct sbx_event event = {0};
    while (event.kind != SBX_EVENT_EXIT) {
        int code = sbx_process_read(process, &call, &event, err);
        if (code == SBX_ERR_TIMEOUT && !httpd_gone(request))
            continue;
        if (code < 0)
            return code;
        if (event.kind == SBX_EVENT_OUTPUT)
            keep(told, &event);
    }
    uint32_t cut = told->outcome.flags;
    told->outcome = event.outcome;
    told->outcome.flags |= cut;
    return told->streams[0].failed || told->streams[1].failed ? err_nomem(err) : 0;
}

static int start(struct httpd_request *request, const struct ask *ask,
                 struct sbx_process **ret_process, struct sbx_error *err)
{
    struct place *box = toolbox_box(request);
    cleanup_free struct sbx_pair *env = NULL;
    struct sbx_call call = serve_call(request, 0);
    struct sbx_exec full = ask->exec;
    int code =
        ask->exec.flags & SBX_EXEC_CLEAN_ENV ? 0 : place_exec(box, &ask->exec, &full, &env, err);
    return code < 0 ? code : sbx_process_start(box->sandbox, &full, &call, ret_process, err);
}

static int run(struct httpd_request *request, const struct ask *ask, struct told *told,
               struct sbx_error *err)
{
    cleanup_process struct sbx_process *process = NULL;
    int code = start(request, ask, &process, err);
    return code < 0 ? code : follow(request, process, told, err);
}

// --- The answer

static void put_stream(struct json *json, const char *key, const struct buf *stream)
{
    json_key(json, key);
    json_base64(json, stream->data, stream->size);
}

void toolbox_put_outcome(struct json *json, const struct sbx_outcome *outcome)
{
    json_put_int(json, "exitCode", outcome->exit_code);
    json_put_int(json, "signal", outcome->signal);
    json_put_bool(json, "timedOut", outcome->flags & SBX_OUTCOME_TIMED_OUT);
    json_put_bool(json, "outOfMemory", outcome->flags & SBX_OUTCOME_OOM);
    json_put_bool(json, "truncated", outcome->flags & SBX_OUTCOME_TRUNCATED);
}

static void put_told(struct json *json, const struct told *told)
{
    toolbox_put_outcome(json, &told->outcome);
    put_stream(json, "stdout", &told->streams[0]);
    put_stream(json, "stderr", &told->streams[1]);
}

static void put_failure(struct json *json, const struct sbx_error *why)
{
    json_key(json, "failed");
    json_begin_object(json);
    json_put_int(json, "errno", why->sys_errno);
    json_put_text(json, "message", why->message);
    json_end_object(json);
}

// `why`: it could not begin.
static void reply(struct httpd_request *request, const struct told *told,
                  const struct sbx_error *why)
{
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_key(&json, "program");
    json_begin_object(&json);
    if (why)
        put_failure(&json, why);
    else
        put_told(&json, told);
    json_end_object(&json);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void note_begin(struct place *box, const struct ask *ask)
{
    logbook_event(&box->log, "%.480s", ask->words[ask->exec.argc - 1]);
}

void toolbox_note_outcome(struct place *box, const struct sbx_outcome *outcome)
{
    logbook_event(&box->log, "exit status %d", (int)outcome->exit_code);
    if (outcome->flags & SBX_OUTCOME_OOM)
        atomic_store(&box->out_of_memory, true);
}

static void note(struct place *box, const struct ask *ask, const struct told *told)
{
    note_begin(box, ask);
    for (int i = 0; i < 2; i++) {
        const struct buf *stream = &told->streams[i];
        size_t size = stream->size < LOGBOOK_OUTPUT_MAX ? stream->size : LOGBOOK_OUTPUT_MAX;
        logbook_output(&box->log, i ? LOG_STDERR : LOG_STDOUT, stream->data, size);
    }
    toolbox_note_outcome(box, &told->outcome);
}

static void refuse(struct httpd_request *request, struct sbx_error *err)
{
    if (err->code == SBX_ERR_EXEC) {
        reply(request, NULL, err);
    } else {
        place_lost(toolbox_box(request), err);
        serve_fail(request, err);
    }
}

static void answer_followed(struct httpd_request *request, const struct ask *ask)
{
    struct sbx_process *process;
    struct sbx_error err;
    if (start(request, ask, &process, &err) < 0) {
        refuse(request, &err);
        return;
    }
    note_begin(toolbox_box(request), ask);
    toolbox_follow(request, process);
}

static void answer(struct httpd_request *request, const struct ask *ask)
{
    struct place *box = toolbox_box(request);
    struct told told = {
        .streams = {BUF_INIT(ask->exec.output_limit), BUF_INIT(ask->exec.output_limit)}};
    struct sbx_error err;
    atomic_fetch_add(&box->serve->jobs, 1); // a sandbox that works is not idle
    int code = run(request, ask, &told, &err);
    atomic_fetch_sub(&box->serve->jobs, 1);
    if (code < 0) {
        refuse(request, &err);
    } else {
        note(box, ask, &told);
        reply(request, &told, NULL);
    }
    buf_deinit(&told.streams[0]);
    buf_deinit(&told.streams[1]);
    place_touch(box);
}

void toolbox_program(struct httpd_request *request, const struct jsonv *body)
{
    struct ask ask = {.exec = SBX_EXEC_INIT};
    struct sbx_error err;
    if (read_ask(body, &ask, &err) < 0)
        serve_fail(request, &err);
    else if (ask.exec.argc == 0)
        httpd_fail(request, 400, "program is required");
    else if (ask.follow)
        answer_followed(request, &ask);
    else
        answer(request, &ask);
    free(ask.words);
    free(ask.variables);
}
