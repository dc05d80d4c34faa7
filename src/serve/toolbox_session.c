// SPDX-License-Identifier: Apache-2.0
// Daytona's sessions over HTTP. Layer: serve.
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "httpd/ws.h"
#include "serve/session_log.h"
#include "serve/toolbox.h"

#define REPLY_MAX (160 * 1024 * 1024)
#define SLICE_MS 500
#define INPUT_MS 30000
#define FRAME_MAX (256 * 1024)

static bool find(struct httpd_request *request, struct session **ret_session)
{
    struct sbx_error err;
    if (session_find(toolbox_box(request), httpd_param(request, "s"), SESSION_SHELL, ret_session,
                     &err) == 0)
        return true;
    serve_fail(request, &err);
    return false;
}

void toolbox_session_create(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_session struct session *session = NULL;
    struct sbx_error err;
    int code = serve_body(request, &body, &err);
    if (code == 0)
        code = session_new(toolbox_box(request), jsonv_text(body, "sessionId"), SESSION_SHELL,
                           &session, &err);
    if (code < 0)
        serve_fail(request, &err);
    else
        httpd_reply(request, 201, NULL, NULL, 0);
}

static void put_command(struct json *json, const struct session_command *command)
{
    json_begin_object(json);
    json_put_text(json, "id", command->id);
    json_put_text(json, "command", command->text);
    if (command->state == COMMAND_ENDED)
        json_put_int(json, "exitCode", command->exit_code);
    json_end_object(json);
}

static void put_session(struct json *json, struct session *session)
{
    pthread_mutex_lock(&session->lock);
    json_begin_object(json);
    json_put_text(json, "sessionId", session->name);
    json_key(json, "commands");
    json_begin_array(json);
    for (struct session_command *at = session->commands; at; at = at->next)
        put_command(json, at);
    json_end_array(json);
    json_end_object(json);
    pthread_mutex_unlock(&session->lock);
}

void toolbox_session_list(struct httpd_request *request)
{
    struct session *sessions[SESSIONS_MAX];
    size_t count = session_all(toolbox_box(request), SESSION_SHELL, sessions, SESSIONS_MAX);
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        put_session(&json, sessions[i]);
        session_unref(sessions[i]);
    }
    json_end_array(&json);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_session_show(struct httpd_request *request)
{
    cleanup_session struct session *session = NULL;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!find(request, &session))
        return;
    put_session(&json, session);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_session_delete(struct httpd_request *request)
{
    cleanup_session struct session *session = NULL;
    if (!find(request, &session))
        return;
    session_close(session);
    httpd_reply(request, 204, NULL, NULL, 0);
}

// --- Output, as clients of different age want it

static bool wants_split(struct httpd_request *request)
{
    const char *asked = httpd_header(request, "X-Daytona-Split-Output");
    const char *version = httpd_header(request, "X-Daytona-SDK-Version");
    int major = 0, minor = 0;
    if (asked && strcasecmp(asked, "true") == 0)
        return true;
    return version && sscanf(version, "%d.%d", &major, &minor) == 2 && (major > 0 || minor >= 167);
}

// --- Commands

static void wait_for_end(struct httpd_request *request, struct session *session,
                         const struct session_command *command)
{
    while (command->state != COMMAND_ENDED) {
        session_wait(session, command, SIZE_MAX, SLICE_MS);
        pthread_mutex_unlock(&session->lock);
        bool gone = httpd_gone(request);
        pthread_mutex_lock(&session->lock);
        if (gone)
            return;
    }
}

static void fail_gone(struct httpd_request *request, const struct place *box, const char *reason)
{
    struct sbx_error err;
    err_set(&err, SBX_ERR_UNAVAILABLE, "sandbox '%s' was not found: %s", box->sheet.id, reason);
    serve_fail(request, &err);
}

static void reply_id(struct httpd_request *request, unsigned status,
                     const struct session_command *command)
{
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_text(&json, "cmdId", command->id); // never changes
    json_end_object(&json);
    httpd_reply_json(request, status, &buf);
}

static void reply_exec(struct httpd_request *request, struct session *session,
                       const struct session_command *command)
{
    char reason[PLACE_REASON_SIZE];
    pthread_mutex_lock(&session->lock);
    wait_for_end(request, session, command);
    if (command->state == COMMAND_ENDED &&
        (command->exit_code >= 0 || !place_gone(session->box, reason))) {
        session_reply_log(request, session, command,
                          wants_split(request) ? LOG_OUTCOME_SPLIT : LOG_OUTCOME);
        return;
    }
    bool ended = command->state == COMMAND_ENDED;
    pthread_mutex_unlock(&session->lock);
    if (ended)
        fail_gone(request, session->box, reason);
    else
        reply_id(request, 200, command);
}

void toolbox_session_exec(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_session struct session *session = NULL;
    struct session_command *command;
    struct sbx_error err;
    if (!find(request, &session))
        return;
    int code = serve_body(request, &body, &err);
    const char *text = jsonv_text(body, "command");
    if (code == 0 && (!text || !text[0]))
        code = err_set(&err, SBX_ERR_INVALID, "command is required");
    if (code == 0)
        code = session_run(session, text, &command, &err);
    if (code < 0) {
        serve_fail(request, &err);
        return;
    }
    if (jsonv_bool(body, "runAsync", false) || jsonv_bool(body, "async", false))
        reply_id(request, 202, command);
    else
        reply_exec(request, session, command);
}

// The command of the path, with the session locked; false when it has replied.
static bool lock_command(struct httpd_request *request, struct session *session,
                         struct session_command **ret_command)
{
    pthread_mutex_lock(&session->lock);
    *ret_command = session_command(session, httpd_param(request, "c"));
    if (*ret_command)
        return true;
    pthread_mutex_unlock(&session->lock);
    httpd_fail(request, 404, "not found: command not found");
    return false;
}

void toolbox_session_command(struct httpd_request *request)
{
    cleanup_session struct session *session = NULL;
    struct session_command *command;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!find(request, &session) || !lock_command(request, session, &command))
        return;
    put_command(&json, command);
    pthread_mutex_unlock(&session->lock);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_session_input(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_session struct session *session = NULL;
    struct session_command *command;
    struct sbx_error err;
    if (!find(request, &session))
        return;
    int code = serve_body(request, &body, &err);
    const char *data = jsonv_text(body, "data");
    if (code == 0 && !data)
        code = err_set(&err, SBX_ERR_INVALID, "data is required");
    if (code < 0) {
        serve_fail(request, &err);
        return;
    }
    if (!lock_command(request, session, &command))
        return;
    // Only to the command that runs: another one would take it for its own.
    struct job *job = command->state == COMMAND_RUNS && session->job ? job_ref(session->job) : NULL;
    struct sbx_call call = serve_call(request, INPUT_MS);
    pthread_mutex_unlock(&session->lock); // its output must flow on while this waits
    code = job ? job_write(job, data, strlen(data), &call, &err)
               : err_set(&err, SBX_ERR_CONFLICT, "the command does not run");
    if (job)
        job_unref(job);
    if (code < 0)
        serve_fail(request, &err);
    else
        httpd_reply(request, 204, NULL, NULL, 0);
}

// --- The session that Daytona runs an image's entry point in: there is none here

void toolbox_entrypoint(struct httpd_request *request)
{
    static const char text[] = "{\"sessionId\":\"entrypoint\",\"commands\":[]}";
    httpd_reply(request, 200, "application/json", text, sizeof(text) - 1);
}

static void follow_nothing(struct ws *ws, void *payload)
{
    ws_close(ws, WS_NORMAL, NULL);
}

static void release_nothing(void *payload)
{
}

void toolbox_entrypoint_logs(struct httpd_request *request)
{
    static const char text[] = "{\"output\":\"\",\"stdout\":\"\",\"stderr\":\"\"}";
    if (httpd_header(request, "Upgrade"))
        ws_accept(request, NULL, follow_nothing, release_nothing, NULL);
    else
        httpd_reply(request, 200, "application/json", text, sizeof(text) - 1);
}

// --- Logs

struct follower {
    struct session *session;
    struct session_command *command;
};

static void follower_free(void *payload)
{
    struct follower *follower = payload;
    session_unref(follower->session);
    free(follower);
}

// What is new in the log since `at`, copied.
static char *next_piece(struct follower *follower, size_t at, size_t *ret_size, bool *ret_ended)
{
    struct session *session = follower->session;
    const struct session_command *command = follower->command;
    char *piece = NULL;
    pthread_mutex_lock(&session->lock);
    session_wait(session, command, at, SLICE_MS);
    size_t size = command->log.size - at;
    if (size > FRAME_MAX)
        size = FRAME_MAX;
    if (size > 0 && (piece = malloc(size)))
        size = tape_read(&command->log, at, piece, size);
    *ret_size = size;
    *ret_ended = command->state == COMMAND_ENDED && size == 0;
    pthread_mutex_unlock(&session->lock);
    return piece;
}

static void follow_log(struct ws *ws, void *payload)
{
    struct follower *follower = payload;
    size_t at = 0, size;
    bool ended = false;
    int kind;
    const char *ignored;
    while (!ended) {
        cleanup_free char *piece = next_piece(follower, at, &size, &ended);
        if (piece && ws_send(ws, WS_BINARY, piece, size) < 0)
            break;
        at += size;
        place_touch(follower->session->box);
        if (ws_read(ws, 0, &kind, &ignored) < 0)
            break;
    }
    ws_close(ws, WS_NORMAL, NULL);
    follower_free(follower);
}

static void follow(struct httpd_request *request, struct session *session,
                   struct session_command *command)
{
    struct follower *follower = malloc(sizeof(*follower));
    if (!follower) {
        session_unref(session);
        httpd_fail(request, 503, "memory is short");
        return;
    }
    *follower = (struct follower){session, command};
    ws_accept(request, NULL, follow_log, follower_free, follower);
}

void toolbox_session_logs(struct httpd_request *request)
{
    cleanup_session struct session *session = NULL;
    struct session_command *command;
    const char *follows = httpd_query(request, "follow");
    if (!find(request, &session) || !lock_command(request, session, &command))
        return;
    if (follows && strcmp(follows, "true") == 0 && httpd_header(request, "Upgrade")) {
        pthread_mutex_unlock(&session->lock);
        follow(request, steal_ptr(session), command);
        return;
    }
    session_reply_log(request, session, command, wants_split(request) ? LOG_SPLIT : LOG_PLAIN);
}
