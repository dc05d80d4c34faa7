// SPDX-License-Identifier: Apache-2.0
// Contexts of code. Layer: serve.
#include "serve/interpreter.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "serve/inside.h"

#define LINE_MAX_SIZE (32 * 1024 * 1024)
#define SLICE_MS 200
#define PATIENCE_MS 2000 // between interrupt and kill
#define WRITE_MS 10000

static int make(struct place *box, const char *id, const char *cwd, struct session **ret_context,
                struct sbx_error *err)
{
    int code = session_new(box, id, SESSION_INTERPRETER, ret_context, err);
    if (code < 0)
        return code;
    snprintf((*ret_context)->cwd, sizeof((*ret_context)->cwd), "%s", cwd ? cwd : "");
    (*ret_context)->carry[0].limit = LINE_MAX_SIZE;
    return 0;
}

int interpreter_find(struct place *box, const char *id, struct session **ret_context,
                     struct sbx_error *err)
{
    const char *name = id && id[0] ? id : INTERPRETER_DEFAULT;
    int code = session_find(box, name, SESSION_INTERPRETER, ret_context, err);
    if (code == 0 || strcmp(name, INTERPRETER_DEFAULT) != 0)
        return code < 0 ? err_set(err, code, "not found: context not found") : 0;
    code = make(box, name, NULL, ret_context, err);
    // Another request may have made it meanwhile.
    return code == SBX_ERR_CONFLICT ? session_find(box, name, SESSION_INTERPRETER, ret_context, err)
                                    : code;
}

int interpreter_new(struct place *box, const char *cwd, struct session **ret_context,
                    struct sbx_error *err)
{
    char id[ID_SIZE];
    if (id_new(id) < 0)
        return err_nomem(err);
    return make(box, id + 3, cwd, ret_context, err);
}

// Under the lock.
static int start(struct session *context, struct sbx_error *err)
{
    const char *const argv[] = {"python3", "-u", "-c", inside_interpreter};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct job_about about = {.cmd = strdup("python3"), .tag = strdup(context->name)};
    exec.argv = argv;
    exec.argc = ARRAY_SIZE(argv);
    exec.flags = SBX_EXEC_STDIN;
    exec.cwd = context->cwd[0] ? context->cwd : NULL;
    context->carry[0].size = 0;
    int code = job_start(context->box, &exec, &about, NULL, &context->job, &context->listener, err);
    job_about_deinit(&about);
    return code;
}

int interpreter_open(struct session *context, struct sbx_error *err)
{
    pthread_mutex_lock(&context->lock);
    int code = context->closed ? err_set(err, SBX_ERR_NOT_FOUND, "not found: context not found")
               : context->job  ? 0
                               : start(context, err);
    pthread_mutex_unlock(&context->lock);
    return code < 0 ? place_failed(context->box, err) : 0;
}

// Under the lock.
static void drop(struct session *context)
{
    if (context->listener)
        listener_free(steal_ptr(context->listener));
    if (context->job)
        job_unref(steal_ptr(context->job));
    context->carry[0].size = 0;
}

// What runs in it ends, and tells that.
void interpreter_restart(struct session *context)
{
    struct sbx_error ignored;
    pthread_mutex_lock(&context->lock);
    if (context->job)
        job_signal(context->job, SIGKILL, &ignored);
    if (!context->busy)
        drop(context);
    pthread_mutex_unlock(&context->lock);
}

// --- One piece of code

struct run {
    struct session *context;
    const struct interpreter_ask *ask;
    struct job *job;
    struct listener *listener;
    int64_t deadline, kill_at; // 0: none
    enum interpreter_end end;
    bool done;
};

static void take_turn(struct run *run)
{
    struct session *context = run->context;
    pthread_mutex_lock(&context->lock);
    while (context->busy && !context->closed) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        pthread_cond_timedwait(&context->changed, &context->lock, &until);
    }
    context->busy = true;
    pthread_mutex_unlock(&context->lock);
}

static void leave(struct run *run, bool ended)
{
    struct session *context = run->context;
    pthread_mutex_lock(&context->lock);
    context->busy = false;
    if (ended)
        drop(context);
    pthread_cond_broadcast(&context->changed);
    pthread_mutex_unlock(&context->lock);
}

static void say(struct run *run, const char *type, const char *line, size_t size)
{
    if (run->end != INTERPRETER_GONE && run->ask->take(run->ask->payload, type, line, size) != 0)
        run->end = INTERPRETER_GONE;
}

static void say_ended(struct run *run, const struct job_event *event)
{
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    char text[160];
    snprintf(text, sizeof(text), "the interpreter has ended: %s %d%s",
             event->outcome.signal ? "signal" : "exit status",
             event->outcome.signal ? event->outcome.signal : event->outcome.exit_code,
             event->outcome.flags & SBX_OUTCOME_OOM ? ", out of memory" : "");
    json_begin_object(&json);
    json_put_text(&json, "type", "error");
    json_put_text(&json, "name", "InterpreterEnded");
    json_put_text(&json, "value", event->failure.code ? event->failure.message : text);
    json_put_text(&json, "traceback", "");
    json_end_object(&json);
    say(run, "error", buf.data, buf.size);
}

static void take_line(struct run *run, const char *line, size_t size)
{
    struct sbx_error ignored;
    cleanup_jsonv struct jsonv *root = NULL;
    if (jsonv_parse(line, size, &root, &ignored) < 0)
        return;
    const char *type = jsonv_text(root, "type");
    if (!type)
        return;
    run->done = strcmp(type, "end_of_execution") == 0;
    say(run, type, line, size);
}

static void take_output(struct run *run, const struct job_event *event)
{
    struct buf *carry = &run->context->carry[0];
    struct sbx_error ignored;
    size_t at = 0;
    buf_add(carry, event->data, event->size);
    if (carry->failed) {
        buf_deinit(carry);
        *carry = (struct buf)BUF_INIT(LINE_MAX_SIZE);
        job_signal(run->job, SIGKILL, &ignored);
        return;
    }
    for (char *end; !run->done && (end = memchr(carry->data + at, '\n', carry->size - at));) {
        take_line(run, carry->data + at, (size_t)(end - carry->data) - at);
        at = (size_t)(end - carry->data) + 1;
    }
    buf_consume(carry, at);
}

// Interrupts what takes too long or is for nobody any more, and kills it if that does not help.
static void watch(struct run *run)
{
    struct sbx_error ignored;
    int64_t now = clock_boot_ms();
    if (run->end == INTERPRETED && run->ask->gone(run->ask->payload))
        run->end = INTERPRETER_GONE;
    if (run->end == INTERPRETED && run->deadline && now >= run->deadline)
        run->end = INTERPRETER_TIMED_OUT;
    if (run->end == INTERPRETED)
        return;
    if (!run->kill_at) {
        run->kill_at = now + PATIENCE_MS;
        job_signal(run->job, SIGINT, &ignored);
    } else if (now >= run->kill_at) {
        job_signal(run->job, SIGKILL, &ignored);
    }
}

static bool follow(struct run *run)
{
    while (!run->done) {
        struct job_event event;
        listener_read(run->listener, SLICE_MS, &event);
        if (event.kind == JOB_OUTPUT && event.stream != SBX_STDERR)
            take_output(run, &event);
        free(event.data);
        if (event.kind == JOB_END) {
            say_ended(run, &event);
            return true;
        }
        if (!run->done)
            watch(run);
        place_touch(run->context->box);
    }
    return false;
}

static int write_ask(struct run *run, struct sbx_error *err)
{
    cleanup_buf struct buf buf = BUF_INIT(LINE_MAX_SIZE);
    struct json json = JSON_INIT(&buf, false);
    struct jsonv_member member = {0};
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = WRITE_MS;
    json_begin_object(&json);
    json_put_text(&json, "code", run->ask->code);
    json_put_bool(&json, "results", run->ask->results);
    json_key(&json, "envs");
    json_begin_object(&json);
    while (jsonv_next(run->ask->envs, &member))
        if (jsonv_as_text(member.value))
            json_put_text(&json, member.key, jsonv_as_text(member.value));
    json_end_object(&json);
    json_end_object(&json);
    buf_puts(&buf, "\n");
    return buf.failed ? err_nomem(err) : job_write(run->job, buf.data, buf.size, &call, err);
}

enum interpreter_end interpreter_run(struct session *context, const struct interpreter_ask *ask)
{
    struct run run = {.context = context, .ask = ask, .end = INTERPRETED};
    struct sbx_error err = {0};
    bool ended = false;
    take_turn(&run);
    int code = interpreter_open(context, &err); // one before may have ended it
    run.job = code == 0 ? session_job(context) : NULL;
    if (!run.job) {
        struct job_event event = {.failure = err};
        say_ended(&run, &event);
        leave(&run, false);
        return run.end;
    }
    run.listener = context->listener;
    run.deadline = ask->timeout_ms ? clock_boot_ms() + ask->timeout_ms : 0;
    if (write_ask(&run, &err) < 0) {
        struct job_event event = {.failure = err};
        say_ended(&run, &event);
        job_signal(run.job, SIGKILL, &err);
        ended = true;
    } else {
        ended = follow(&run);
    }
    leave(&run, ended);
    job_unref(run.job);
    return run.end;
}
