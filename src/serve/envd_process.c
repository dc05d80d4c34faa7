// SPDX-License-Identifier: Apache-2.0
// envd's process service: commands and terminals. Layer: serve.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "serve/envd.h"
#include "serve/job.h"

#define OUTPUT_MAX (32 * 1024) // of one event
#define MESSAGE_MAX (4 * 1024 * 1024)
#define SLICE_MS 500 // how often a silent stream looks whether its client is there
#define START_MS 30000
#define JOBS_MAX 4096
#define ARGS_MAX 4096

// --- Selectors and small calls

static bool select_job(struct httpd_request *request, const struct jsonv *message,
                       struct job **ret_task)
{
    struct sbx_error err;
    const struct jsonv *selector = jsonv_get(message, "process");
    if (job_find(envd_box(request), (uint32_t)jsonv_int(selector, "pid", 0),
                 jsonv_text(selector, "tag"), ret_task, &err) == 0)
        return true;
    connect_fail_err(request, &err);
    return false;
}

static void done(struct httpd_request *request, int code, const struct sbx_error *err)
{
    if (code < 0)
        connect_fail_err(request, err);
    else
        connect_reply_empty(request);
}

static bool read_pty(const struct jsonv *message, uint16_t *ret_rows, uint16_t *ret_cols)
{
    const struct jsonv *size = jsonv_get(jsonv_get(message, "pty"), "size");
    int64_t rows = jsonv_int(size, "rows", 24), cols = jsonv_int(size, "cols", 80);
    if (rows < 1 || rows > 10000 || cols < 1 || cols > 10000)
        return false;
    *ret_rows = (uint16_t)rows;
    *ret_cols = (uint16_t)cols;
    return true;
}

void envd_process_update(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    cleanup_job struct job *job = NULL;
    struct sbx_error err;
    uint16_t rows, cols;
    if (!connect_unary(request, &message) || !select_job(request, message, &job))
        return;
    if (!read_pty(message, &rows, &cols))
        connect_fail(request, "invalid_argument", "a terminal has 1 to 10000 rows and columns");
    else
        done(request, job_resize(job, rows, cols, &err), &err);
}

static int write_input(struct httpd_request *request, struct job *job, const struct jsonv *input,
                       struct sbx_error *err)
{
    const char *text = jsonv_text(input, "stdin");
    if (!text)
        text = jsonv_text(input, "pty");
    cleanup_buf struct buf data = BUF_INIT(CONNECT_MESSAGE_MAX);
    if (!text || !base64_decode(&data, text, strlen(text)))
        return err_set(err, SBX_ERR_INVALID, "input must be base64 in stdin or pty");
    if (!(job_flags(job) & (SBX_EXEC_STDIN | SBX_EXEC_PTY)))
        return err_set(err, SBX_ERR_INVALID, "stdin not enabled or closed");
    struct sbx_call call = serve_call(request, connect_timeout_ms(request));
    return data.size ? job_write(job, data.data, data.size, &call, err) : 0;
}

void envd_process_send_input(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    cleanup_job struct job *job = NULL;
    struct sbx_error err;
    if (connect_unary(request, &message) && select_job(request, message, &job))
        done(request, write_input(request, job, jsonv_get(message, "input"), &err), &err);
}

static int signal_of(const struct jsonv *message)
{
    const char *name = jsonv_text(message, "signal");
    int64_t number = jsonv_int(message, "signal", 0);
    if (number == 0 && name)
        number = strcmp(name, "SIGNAL_SIGKILL") == 0   ? SIGKILL
                 : strcmp(name, "SIGNAL_SIGTERM") == 0 ? SIGTERM
                                                       : 0;
    return number == SIGKILL || number == SIGTERM ? (int)number : 0;
}

void envd_process_send_signal(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    cleanup_job struct job *job = NULL;
    struct sbx_error err;
    if (!connect_unary(request, &message) || !select_job(request, message, &job))
        return;
    int number = signal_of(message);
    if (number == 0)
        connect_fail(request, "unimplemented", "only SIGKILL and SIGTERM can be sent");
    else
        done(request, job_signal(job, number, &err), &err);
}

void envd_process_close_stdin(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    cleanup_job struct job *job = NULL;
    struct sbx_error err;
    if (connect_unary(request, &message) && select_job(request, message, &job))
        done(request, job_close_input(job, &err), &err);
}

// --- A stream of input

struct input_stream {
    struct httpd_request *request;
    struct place *box;
    struct job *job;
    struct buf pending;
    struct sbx_error err;
};

static void input_stream_free(void *state)
{
    struct input_stream *stream = state;
    if (stream->job)
        job_unref(stream->job);
    place_unref(stream->box);
    buf_deinit(&stream->pending);
    free(stream);
}

static int take_message(struct input_stream *stream, const char *data, size_t size)
{
    cleanup_jsonv struct jsonv *message = NULL;
    int code = jsonv_parse(data, size, &message, &stream->err);
    if (code < 0)
        return err_set(&stream->err, SBX_ERR_INVALID, "the message is no JSON object");
    const struct jsonv *start = jsonv_get(message, "start"), *input = jsonv_get(message, "data");
    if (start && !stream->job) {
        const struct jsonv *selector = jsonv_get(start, "process");
        return job_find(stream->box, (uint32_t)jsonv_int(selector, "pid", 0),
                        jsonv_text(selector, "tag"), &stream->job, &stream->err);
    }
    if (input && !stream->job)
        return err_set(&stream->err, SBX_ERR_INVALID, "input before the start message");
    return input
               ? write_input(stream->request, stream->job, jsonv_get(input, "input"), &stream->err)
               : 0;
}

static int take_envelopes(void *payload, const void *data, size_t size)
{
    struct input_stream *stream = payload;
    if (stream->err.code)
        return -1;
    buf_add(&stream->pending, data, size);
    if (stream->pending.failed)
        return err_set(&stream->err, SBX_ERR_QUOTA, "a message is too large");
    for (;;) {
        unsigned flags;
        uint32_t length;
        int head = connect_parse_head((const uint8_t *)stream->pending.data, stream->pending.size,
                                      &flags, &length);
        if (head < 0)
            return err_set(&stream->err, SBX_ERR_INVALID, "an envelope is malformed");
        if (head == 0 || stream->pending.size - CONNECT_HEAD < length)
            return 0;
        int code = flags & CONNECT_END
                       ? 0
                       : take_message(stream, stream->pending.data + CONNECT_HEAD, length);
        buf_consume(&stream->pending, CONNECT_HEAD + length);
        if (code < 0)
            return code;
    }
}

void envd_process_stream_input_begin(struct httpd_request *request)
{
    struct input_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        httpd_fail(request, 503, "memory is short");
        return;
    }
    stream->request = request;
    stream->box = place_ref(envd_box(request));
    stream->pending = (struct buf)BUF_INIT(2 * CONNECT_MESSAGE_MAX);
    httpd_set_state(request, stream, input_stream_free);
    httpd_set_sink(request, take_envelopes, stream);
}

void envd_process_stream_input(struct httpd_request *request)
{
    struct input_stream *stream = httpd_state(request);
    cleanup_buf struct buf out = BUF_INIT(MESSAGE_MAX);
    if (!stream->err.code) {
        size_t start = connect_open(&out);
        buf_puts(&out, "{}");
        connect_close(&out, start, 0);
    }
    connect_end(&out, stream->err.code ? connect_code(&stream->err) : NULL, stream->err.message);
    httpd_reply_buf(request, 200, "application/connect+json", &out);
}

// --- Lists

static void put_optional(struct json *json, const char *key, const char *text)
{
    if (text)
        json_put_text(json, key, text);
}

static void put_job(struct json *json, const struct job *job)
{
    const struct job_about *about = job_about(job);
    json_begin_object(json);
    json_key(json, "config");
    json_begin_object(json);
    json_put_text(json, "cmd", about->cmd);
    json_key(json, "args");
    json_begin_array(json);
    for (size_t i = 0; i < about->args.count; i++)
        json_text(json, about->args.items[i].value);
    json_end_array(json);
    json_key(json, "envs");
    pairlist_write(&about->env, json);
    put_optional(json, "cwd", about->cwd);
    json_end_object(json);
    json_put_uint(json, "pid", job_pid(job));
    put_optional(json, "tag", about->tag);
    json_end_object(json);
}

void envd_process_list(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    cleanup_buf struct buf buf = BUF_INIT(MESSAGE_MAX);
    struct json json = JSON_INIT(&buf, false);
    cleanup_free struct job **jobs = calloc(JOBS_MAX, sizeof(*jobs));
    if (!jobs || !connect_unary(request, &message))
        return;
    size_t count = job_all(envd_box(request), jobs, JOBS_MAX);
    json_begin_object(&json);
    json_key(&json, "processes");
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        put_job(&json, jobs[i]);
        job_unref(jobs[i]);
    }
    json_end_array(&json);
    json_end_object(&json);
    connect_reply(request, &buf);
}

// --- Streams of events

struct events {
    struct httpd_request *request;
    struct job *job;
    struct listener *listener;
    struct buf out;
    size_t at; // sent so far
    int64_t keepalive_ms, quiet_since;
    bool ended;
};

static void events_free(void *payload)
{
    struct events *events = payload;
    if (events->listener)
        listener_free(events->listener);
    if (events->job)
        job_unref(events->job);
    buf_deinit(&events->out);
    free(events);
}

// {"event":{NAME: what the caller writes between begin and end
static size_t begin_event(struct events *events, struct json *json, const char *name)
{
    size_t start = connect_open(&events->out);
    *json = (struct json)JSON_INIT(&events->out, false);
    json_begin_object(json);
    json_key(json, "event");
    json_begin_object(json);
    json_key(json, name);
    json_begin_object(json);
    return start;
}

static void end_event(struct events *events, struct json *json, size_t start)
{
    json_end_object(json);
    json_end_object(json);
    json_end_object(json);
    connect_close(&events->out, start, 0);
}

static void put_start(struct events *events, uint32_t pid)
{
    struct json json;
    size_t start = begin_event(events, &json, "start");
    json_put_uint(&json, "pid", pid);
    end_event(events, &json, start);
}

static void put_output(struct events *events, const char *stream, const char *data, size_t size)
{
    for (size_t at = 0; at < size; at += OUTPUT_MAX) {
        struct json json;
        size_t start = begin_event(events, &json, "data");
        json_key(&json, stream);
        json_base64(&json, data + at, size - at < OUTPUT_MAX ? size - at : OUTPUT_MAX);
        end_event(events, &json, start);
    }
}

static void put_exit(struct events *events, const struct sbx_outcome *outcome)
{
    struct json json;
    char status[64];
    size_t start = begin_event(events, &json, "end");
    if (outcome->signal)
        snprintf(status, sizeof(status), "signal: %s",
                 outcome->signal == SIGKILL   ? "killed"
                 : outcome->signal == SIGTERM ? "terminated"
                                              : sigdescr_np(outcome->signal));
    else
        snprintf(status, sizeof(status), "exit status %d", outcome->exit_code);
    // Zero and false are left out, as the protocol's JSON has it.
    if (outcome->signal || outcome->exit_code)
        json_put_int(&json, "exitCode", outcome->signal ? -1 : outcome->exit_code);
    if (!outcome->signal)
        json_put_bool(&json, "exited", true);
    json_put_text(&json, "status", status);
    if (outcome->flags & SBX_OUTCOME_OOM)
        json_put_text(&json, "error", "killed: out of memory");
    else if (outcome->signal || outcome->exit_code)
        json_put_text(&json, "error", status);
    end_event(events, &json, start);
}

static void put_end(struct events *events, const struct job_event *event)
{
    events->ended = true;
    if (event->failure.code) {
        connect_end(&events->out, "unavailable", event->failure.message);
    } else if (event->outcome.flags & SBX_OUTCOME_TIMED_OUT) {
        connect_end(&events->out, "deadline_exceeded", "context deadline exceeded");
    } else {
        put_exit(events, &event->outcome);
        connect_end(&events->out, NULL, NULL);
    }
}

static const char *stream_name(const struct events *events, uint32_t stream)
{
    if (job_flags(events->job) & SBX_EXEC_PTY)
        return "pty";
    return stream == SBX_STDERR ? "stderr" : "stdout";
}

static void put_silence(struct events *events)
{
    struct json json;
    if (httpd_stopping(httpd_server(events->request))) {
        events->ended = true;
        connect_end(&events->out, "unavailable", "the server is stopping");
    } else if (clock_boot_ms() - events->quiet_since >= events->keepalive_ms) {
        events->quiet_since = clock_boot_ms();
        end_event(events, &json, begin_event(events, &json, "keepalive"));
    }
}

static void next_event(struct events *events)
{
    struct job_event event;
    listener_read(events->listener, SLICE_MS, &event);
    if (event.kind == JOB_SILENT) {
        put_silence(events);
        return;
    }
    events->quiet_since = clock_boot_ms();
    if (event.kind == JOB_END)
        put_end(events, &event);
    else
        put_output(events, stream_name(events, event.stream), event.data, event.size);
    free(event.data);
}

static ssize_t read_events(void *payload, char *data, size_t size)
{
    struct events *events = payload;
    while (events->at == events->out.size) {
        events->out.size = events->at = 0;
        if (events->ended)
            return HTTPD_SOURCE_END;
        next_event(events);
        if (events->out.failed)
            return HTTPD_SOURCE_ERROR;
        if (events->out.size == 0 && httpd_gone(events->request) &&
            !httpd_stopping(httpd_server(events->request)))
            return HTTPD_SOURCE_ERROR;
    }
    return (ssize_t)buf_take(&events->out, &events->at, data, size);
}

static struct events *events_new(struct httpd_request *request)
{
    struct events *events = calloc(1, sizeof(*events));
    if (!events) {
        connect_fail(request, "resource_exhausted", "memory is short");
        return NULL;
    }
    events->request = request;
    events->out = (struct buf)BUF_INIT(MESSAGE_MAX);
    events->keepalive_ms = connect_keepalive_ms(request);
    events->quiet_since = clock_boot_ms();
    return events;
}

static void send_events(struct httpd_request *request, struct events *events)
{
    struct httpd_source source = {read_events, events_free, events, 0};
    httpd_reply_stream(request, 200, "application/connect+json", &source);
}

void envd_process_connect(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    struct sbx_error err;
    struct events *events;
    if (!connect_first(request, &message) || !(events = events_new(request)))
        return;
    const struct jsonv *selector = jsonv_get(message, "process");
    int code = job_find(envd_box(request), (uint32_t)jsonv_int(selector, "pid", 0),
                        jsonv_text(selector, "tag"), &events->job, &err);
    if (code == 0)
        code = job_listen(events->job, &events->listener, &err);
    if (code == 0) {
        put_start(events, job_pid(events->job));
    } else {
        connect_end(&events->out, connect_code(&err), err.message);
        events->ended = true;
    }
    send_events(request, events);
}

// --- Start

struct start {
    struct job_about about;
    const char **argv; // owned array
    struct sbx_exec exec;
    struct pairlist env;
    char user[64];
};

static void start_deinit(struct start *start)
{
    job_about_deinit(&start->about);
    pairlist_deinit(&start->env);
    free(start->argv);
}

static int copy_text(const char *text, char **ret_copy, struct sbx_error *err)
{
    if (text && !(*ret_copy = strdup(text)))
        return err_nomem(err);
    return 0;
}

static int read_command(const struct jsonv *config, struct start *start, struct sbx_error *err)
{
    const char *cmd = jsonv_text(config, "cmd");
    const struct jsonv *args = jsonv_get(config, "args");
    size_t count = jsonv_count(args);
    if (!cmd || !cmd[0] || count > ARGS_MAX)
        return err_set(err, SBX_ERR_INVALID, "process.cmd is missing, or has too many args");
    start->argv = calloc(count + 1, sizeof(*start->argv));
    if (!start->argv)
        return err_nomem(err);
    start->argv[0] = cmd;
    for (size_t i = 0; i < count; i++) {
        start->argv[i + 1] = jsonv_as_text(jsonv_at(args, i));
        if (!start->argv[i + 1])
            return err_set(err, SBX_ERR_INVALID, "process.args must be texts");
        int code = pairlist_add(&start->about.args, "", start->argv[i + 1], err);
        if (code < 0)
            return code;
    }
    start->exec.argv = start->argv;
    start->exec.argc = count + 1;
    return copy_text(cmd, &start->about.cmd, err);
}

static int read_env(struct place *box, const struct jsonv *config, struct start *start,
                    struct sbx_error *err)
{
    const struct jsonv *envs = jsonv_get(config, "envs");
    int code = pairlist_read(&start->about.env, envs, "process.envs", err);
    if (code == 0)
        code = pairlist_add(&start->env, "E2B_SANDBOX", "true", err);
    if (code == 0)
        code = pairlist_add(&start->env, "E2B_SANDBOX_ID", box->sheet.id, err);
    for (size_t i = 0; code == 0 && i < start->about.env.count; i++)
        if (!pairlist_get(&start->env, start->about.env.items[i].name))
            code = pairlist_add(&start->env, start->about.env.items[i].name,
                                start->about.env.items[i].value, err);
    start->exec.env = start->env.items;
    start->exec.env_count = start->env.count;
    return code;
}

static int read_start(struct httpd_request *request, const struct jsonv *message,
                      struct start *start, struct sbx_error *err)
{
    const struct jsonv *config = jsonv_get(message, "process");
    const char *cwd = jsonv_text(config, "cwd");
    start->exec = (struct sbx_exec)SBX_EXEC_INIT;
    start->exec.user = envd_user(request, start->user);
    start->exec.cwd = cwd && cwd[0] ? cwd : NULL;
    start->exec.timeout_ms = connect_timeout_ms(request);
    if (jsonv_get(message, "pty"))
        start->exec.flags |= SBX_EXEC_PTY;
    else if (jsonv_bool(message, "stdin", true))
        start->exec.flags |= SBX_EXEC_STDIN;
    if (!read_pty(message, &start->exec.rows, &start->exec.cols))
        return err_set(err, SBX_ERR_INVALID, "a terminal has 1 to 10000 rows and columns");
    int code = read_command(config, start, err);
    if (code == 0)
        code = read_env(envd_box(request), config, start, err);
    if (code == 0)
        code = copy_text(start->exec.cwd, &start->about.cwd, err);
    return code < 0 ? code : copy_text(jsonv_text(message, "tag"), &start->about.tag, err);
}

// A missing program is told as a shell tells it; the rest is an error of the call.
static void put_failed_start(struct events *events, const struct start *start,
                             const struct sbx_error *err)
{
    events->ended = true;
    if (err->code == SBX_ERR_EXEC && strstr(err->message, "directory") && start->exec.cwd &&
        strstr(err->message, start->exec.cwd)) {
        char text[512];
        snprintf(text, sizeof(text), "cwd '%.400s' does not exist", start->exec.cwd);
        connect_end(&events->out, "invalid_argument", text);
    } else if (err->code == SBX_ERR_EXEC && err->sys_errno == ENOENT) {
        struct sbx_outcome outcome = {.exit_code = 127};
        put_start(events, 1);
        put_output(events, "stderr", err->message, strlen(err->message));
        put_exit(events, &outcome);
        connect_end(&events->out, NULL, NULL);
    } else if (err->code != SBX_ERR_UNSUPPORTED && strstr(err->message, "user")) {
        connect_end(&events->out, "unauthenticated", err->message);
    } else {
        connect_end(&events->out, connect_code(err), err->message);
    }
}

void envd_process_start(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *message = NULL;
    cleanup(start_deinit) struct start start = {0};
    struct sbx_error err;
    struct events *events;
    if (!connect_first(request, &message) || !(events = events_new(request)))
        return;
    struct sbx_call call = serve_call(request, START_MS);
    int code = read_start(request, message, &start, &err);
    if (code == 0)
        code = job_start(envd_box(request), &start.exec, &start.about, &call, &events->job,
                         &events->listener, &err);
    if (code == 0)
        put_start(events, job_pid(events->job));
    else
        put_failed_start(events, &start, &err);
    send_events(request, events);
}
