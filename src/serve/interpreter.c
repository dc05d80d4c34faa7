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

// Under the lock.
static int start(struct session *context, struct sbx_error *err)
{
    const char *const argv[] = {"python3", "-c", inside_interpreter};
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

// Starts its Python unless it runs.
static int ensure_open(struct session *context, struct sbx_error *err)
{
    pthread_mutex_lock(&context->lock);
    int code = context->closed ? err_set(err, SBX_ERR_NOT_FOUND, "not found: context not found")
               : context->job  ? 0
                               : start(context, err);
    pthread_mutex_unlock(&context->lock);
    return code < 0 ? place_failed(context->box, err) : 0;
}

int interpreter_new(struct place *box, const char *cwd, struct session **ret_context,
                    struct sbx_error *err)
{
    cleanup_session struct session *context = NULL;
    char id[ID_SIZE];
    if (id_new(id) < 0)
        return err_nomem(err);
    int code = make(box, id + 3, cwd, &context, err);
    if (code < 0)
        return code;
    code = ensure_open(context, err);
    if (code < 0)
        session_close(context);
    else
        *ret_context = steal_ptr(context);
    return code;
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

struct interpreter_turn {
    struct session *context;
    struct interpreter_ask ask; // code and envs: only for the beginning
    struct job *job;
    struct listener *listener;
    int64_t deadline, kill_at; // 0: none
    enum interpreter_end end;
    bool done;              // nothing more is told
    bool ended;             // its Python has
    struct buf line;        // what was told last
    struct jsonv *told;     // the same, read
    struct sbx_error error; // of its beginning
};

static void take_turn(struct session *context)
{
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

static int write_ask(struct interpreter_turn *turn, struct sbx_error *err)
{
    cleanup_buf struct buf buf = BUF_INIT(LINE_MAX_SIZE);
    struct json json = JSON_INIT(&buf, false);
    struct jsonv_member member = {0};
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = WRITE_MS;
    json_begin_object(&json);
    json_put_text(&json, "code", turn->ask.code);
    json_put_bool(&json, "results", turn->ask.results);
    json_key(&json, "envs");
    json_begin_object(&json);
    while (jsonv_next(turn->ask.envs, &member))
        if (jsonv_as_text(member.value))
            json_put_text(&json, member.key, jsonv_as_text(member.value));
    json_end_object(&json);
    json_end_object(&json);
    buf_puts(&buf, "\n");
    return buf.failed ? err_nomem(err) : job_write(turn->job, buf.data, buf.size, &call, err);
}

int interpreter_begin(struct session *context, const struct interpreter_ask *ask,
                      struct interpreter_turn **ret_turn, struct sbx_error *err)
{
    struct interpreter_turn *turn = calloc(1, sizeof(*turn));
    if (!turn)
        return err_nomem(err);
    turn->context = context;
    turn->ask = *ask;
    turn->line = (struct buf)BUF_INIT(LINE_MAX_SIZE);
    take_turn(context);
    int code = ensure_open(context, &turn->error); // one before may have ended it
    turn->job = code == 0 ? session_job(context) : NULL;
    turn->listener = context->listener;
    turn->deadline = ask->timeout_ms ? clock_boot_ms() + ask->timeout_ms : 0;
    if (turn->job && write_ask(turn, &turn->error) < 0) {
        job_signal(turn->job, SIGKILL, err);
        turn->ended = true;
    }
    *ret_turn = turn;
    return 0;
}

static void tell_ended(struct interpreter_turn *turn, const struct job_event *event)
{
    struct json json = JSON_INIT(&turn->line, false);
    const struct sbx_outcome *outcome = &event->outcome;
    char text[160];
    snprintf(text, sizeof(text), "the interpreter has ended: %s %d%s",
             outcome->signal ? "signal" : "exit status",
             outcome->signal ? outcome->signal : outcome->exit_code,
             outcome->flags & SBX_OUTCOME_OOM ? ", out of memory" : "");
    turn->line.size = 0;
    json_begin_object(&json);
    json_put_text(&json, "type", "error");
    json_put_text(&json, "name", "InterpreterEnded");
    json_put_text(&json, "value", event->failure.code ? event->failure.message : text);
    json_put_text(&json, "traceback", "");
    json_end_object(&json);
    turn->done = true;
}

// One line out of what has come, if a whole one is there that makes sense.
static bool take_line(struct interpreter_turn *turn)
{
    struct buf *carry = &turn->context->carry[0];
    char *end = carry->size ? memchr(carry->data, '\n', carry->size) : NULL;
    if (!end)
        return false;
    turn->line.size = 0;
    buf_add(&turn->line, carry->data, (size_t)(end - carry->data));
    buf_consume(carry, turn->line.size + 1);
    jsonv_free(steal_ptr(turn->told));
    return true;
}

static bool read_line(struct interpreter_turn *turn, const char **ret_type)
{
    struct sbx_error ignored;
    if (jsonv_parse(turn->line.data, turn->line.size, &turn->told, &ignored) < 0)
        return false;
    *ret_type = jsonv_text(turn->told, "type");
    turn->done |= *ret_type && strcmp(*ret_type, "end_of_execution") == 0;
    return *ret_type != NULL;
}

static void take_output(struct interpreter_turn *turn, const struct job_event *event)
{
    struct buf *carry = &turn->context->carry[0];
    struct sbx_error ignored;
    buf_add(carry, event->data, event->size);
    if (!carry->failed)
        return;
    buf_deinit(carry);
    *carry = (struct buf)BUF_INIT(LINE_MAX_SIZE);
    job_signal(turn->job, SIGKILL, &ignored);
}

static void watch(struct interpreter_turn *turn)
{
    struct sbx_error ignored;
    int64_t now = clock_boot_ms();
    if (turn->end == INTERPRETED && turn->ask.gone(turn->ask.payload))
        turn->end = INTERPRETER_GONE;
    if (turn->end == INTERPRETED && turn->deadline && now >= turn->deadline)
        turn->end = INTERPRETER_TIMED_OUT;
    if (turn->end == INTERPRETED)
        return;
    if (!turn->kill_at) {
        turn->kill_at = now + PATIENCE_MS;
        job_signal(turn->job, SIGINT, &ignored);
    } else if (now >= turn->kill_at) {
        job_signal(turn->job, SIGKILL, &ignored);
    }
}

// Waits a while for more; true when the end is told.
static bool wait_more(struct interpreter_turn *turn)
{
    struct job_event event;
    listener_read(turn->listener, SLICE_MS, &event);
    if (event.kind == JOB_OUTPUT && event.stream != SBX_STDERR)
        take_output(turn, &event);
    free(event.data);
    if (event.kind == JOB_END) {
        turn->ended = true;
        tell_ended(turn, &event);
        return true;
    }
    watch(turn);
    place_touch(turn->context->box);
    return false;
}

bool interpreter_next(struct interpreter_turn *turn, const char **ret_type, const char **ret_line,
                      size_t *ret_size)
{
    bool told = false;
    *ret_type = "error";
    if (turn->done)
        return false;
    if (!turn->job || turn->error.code) {
        struct job_event event = {.failure = turn->error};
        tell_ended(turn, &event);
        told = true;
    }
    while (!told)
        told = take_line(turn) ? read_line(turn, ret_type) : wait_more(turn);
    *ret_line = turn->line.data;
    *ret_size = turn->line.size;
    return true;
}

enum interpreter_end interpreter_finish(struct interpreter_turn *turn)
{
    struct session *context = turn->context;
    const char *type, *line;
    size_t size;
    if (!turn->done)
        turn->end = INTERPRETER_GONE;
    while (interpreter_next(turn, &type, &line, &size))
        ;
    pthread_mutex_lock(&context->lock);
    context->busy = false;
    if (turn->ended)
        drop(context);
    pthread_cond_broadcast(&context->changed);
    pthread_mutex_unlock(&context->lock);
    if (turn->job)
        job_unref(turn->job);
    enum interpreter_end end = turn->end;
    jsonv_free(turn->told);
    buf_deinit(&turn->line);
    free(turn);
    return end;
}
