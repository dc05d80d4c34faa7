// SPDX-License-Identifier: Apache-2.0
// Daytona's terminals. Layer: serve.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "serve/job_socket.h"
#include "serve/session.h"
#include "serve/toolbox.h"

#define REPLY_MAX (4 * 1024 * 1024)
#define SIDE_MAX 1000 // rows, columns
#define EXIT_CONTROL "X-Daytona-Pty-Exit-Control"
#define ENVS "X-Daytona-Pty-Envs~"

static bool find(struct httpd_request *request, struct session **ret_session)
{
    struct sbx_error err;
    if (session_find(toolbox_box(request), httpd_param(request, "s"), SESSION_TERMINAL, ret_session,
                     &err) == 0)
        return true;
    httpd_fail(request, 404, "PTY session not found");
    return false;
}

static int set_size(struct session *session, int64_t rows, int64_t cols, struct sbx_error *err)
{
    if (rows < 1 || rows > SIDE_MAX || cols < 1 || cols > SIDE_MAX)
        return err_set(err, SBX_ERR_INVALID, "a terminal has 1 to %d rows and columns", SIDE_MAX);
    session->rows = (uint16_t)rows;
    session->cols = (uint16_t)cols;
    return 0;
}

static void put_info(struct json *json, struct session *session)
{
    char time[SERVE_TIME_SIZE];
    serve_time(session->created_ms, time);
    pthread_mutex_lock(&session->lock);
    json_begin_object(json);
    json_put_text(json, "id", session->name);
    json_put_text(json, "cwd", session->cwd[0] ? session->cwd : "/home/user");
    json_key(json, "envs");
    pairlist_write(&session->env, json);
    json_put_uint(json, "cols", session->cols);
    json_put_uint(json, "rows", session->rows);
    json_put_text(json, "createdAt", time);
    json_put_bool(json, "active", session->job != NULL);
    json_put_bool(json, "lazyStart", false);
    json_end_object(json);
    pthread_mutex_unlock(&session->lock);
}

static void reply_info(struct httpd_request *request, struct session *session)
{
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    put_info(&json, session);
    httpd_reply_json(request, 200, &buf);
}

static int make(struct httpd_request *request, const char *name, const char *cwd, int64_t rows,
                int64_t cols, const struct jsonv *envs, struct session **ret_session,
                struct sbx_error *err)
{
    int code = session_new(toolbox_box(request), name, SESSION_TERMINAL, ret_session, err);
    if (code < 0)
        return code;
    struct session *session = *ret_session;
    snprintf(session->cwd, sizeof(session->cwd), "%s", cwd ? cwd : "");
    code = set_size(session, rows, cols, err);
    if (code == 0)
        code = pairlist_read(&session->env, envs, "envs", err);
    if (code == 0)
        code = session_open_terminal(session, err);
    if (code < 0)
        session_close(session);
    return code;
}

void toolbox_pty_create(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_session struct session *session = NULL;
    struct sbx_error err;
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    int code = serve_body(request, &body, &err);
    if (code == 0)
        code = make(request, jsonv_text(body, "id"), jsonv_text(body, "cwd"),
                    jsonv_int(body, "rows", 24), jsonv_int(body, "cols", 80),
                    jsonv_get(body, "envs"), &session, &err);
    if (code < 0) {
        serve_fail(request, &err);
        return;
    }
    json_begin_object(&json);
    json_put_text(&json, "sessionId", session->name);
    json_end_object(&json);
    httpd_reply_json(request, 201, &buf);
}

void toolbox_pty_list(struct httpd_request *request)
{
    struct session *sessions[SESSIONS_MAX];
    size_t count = session_all(toolbox_box(request), SESSION_TERMINAL, sessions, SESSIONS_MAX);
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_key(&json, "sessions");
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        put_info(&json, sessions[i]);
        session_unref(sessions[i]);
    }
    json_end_array(&json);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_pty_show(struct httpd_request *request)
{
    cleanup_session struct session *session = NULL;
    if (find(request, &session))
        reply_info(request, session);
}

void toolbox_pty_delete(struct httpd_request *request)
{
    static const char text[] = "{\"message\":\"PTY session deleted\"}";
    cleanup_session struct session *session = NULL;
    if (!find(request, &session))
        return;
    session_close(session);
    httpd_reply(request, 200, "application/json", text, sizeof(text) - 1);
}

void toolbox_pty_resize(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_session struct session *session = NULL;
    struct sbx_error err;
    if (!find(request, &session))
        return;
    int code = serve_body(request, &body, &err);
    if (code == 0)
        code = set_size(session, jsonv_int(body, "rows", 0), jsonv_int(body, "cols", 0), &err);
    pthread_mutex_lock(&session->lock);
    if (code == 0 && session->job)
        code = job_resize(session->job, session->rows, session->cols, &err);
    pthread_mutex_unlock(&session->lock);
    if (code < 0)
        serve_fail(request, &err);
    else
        reply_info(request, session);
}

// --- The WebSocket

struct wire {
    struct session *session;
    struct job *job;
    struct listener *listener;
    struct ws *ws;
    bool tells_exit; // the client knows the control message
    bool was_first;  // it has the terminal's first bytes
    atomic_bool left;
};

static void wire_free(void *payload)
{
    struct wire *wire = payload;
    if (wire->listener)
        listener_free(wire->listener);
    if (wire->job)
        job_unref(wire->job);
    session_unref(wire->session);
    free(wire);
}

static const char *exit_reason(const struct job_event *end, const char *gone)
{
    return gone                                   ? gone
           : end->failure.code                    ? "the terminal was lost"
           : end->outcome.flags & SBX_OUTCOME_OOM ? "killed: out of memory"
           : end->outcome.signal                  ? "killed by a signal"
                                                  : "";
}

static void tell_exit(struct wire *wire, const struct job_event *end)
{
    char text[224], gone[PLACE_REASON_SIZE];
    const struct sbx_outcome *outcome = &end->outcome;
    bool is_gone = end->failure.code && place_gone(wire->session->box, gone);
    int code = end->failure.code ? -1
               : outcome->signal ? 128 + outcome->signal
                                 : outcome->exit_code;
    if (wire->tells_exit) {
        snprintf(text, sizeof(text), "{\"type\":\"control\",\"status\":\"exited\",\"exitCode\":%d}",
                 code);
        ws_send(wire->ws, WS_TEXT, text, strlen(text));
    }
    snprintf(text, sizeof(text), "{\"exitCode\":%d,\"exitReason\":\"%s\"}", code,
             exit_reason(end, is_gone ? gone : NULL));
    ws_close(wire->ws, code == 0 ? WS_NORMAL : WS_FAILED, text);
}

static void *send_output(void *argument)
{
    struct wire *wire = argument;
    struct job_event event;
    listener_to_socket(wire->listener, wire->ws, &wire->left, &event);
    if (event.kind == JOB_END) {
        tell_exit(wire, &event);
        session_close(wire->session);
    }
    return NULL;
}

static void read_input(struct wire *wire)
{
    int kind;
    const char *data;
    ssize_t size;
    struct sbx_error err;
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = 30000;
    while ((size = ws_read(wire->ws, -1, &kind, &data)) >= 0) {
        place_touch(wire->session->box);
        if (size > 0 && job_write(wire->job, data, (size_t)size, &call, &err) < 0)
            break;
    }
}

static void run_wire(struct ws *ws, void *payload)
{
    static const char hello[] = "{\"type\":\"control\",\"status\":\"connected\"}";
    struct wire *wire = payload;
    pthread_t sender;
    wire->ws = ws;
    ws_send(ws, WS_TEXT, hello, sizeof(hello) - 1);
    if (pthread_create(&sender, NULL, send_output, wire) == 0) {
        read_input(wire);
        atomic_store(&wire->left, true);
        pthread_join(sender, NULL);
    }
    wire_free(wire);
}

// Takes the session's reference over.
static void connect_to(struct httpd_request *request, struct session *session)
{
    struct wire *wire = calloc(1, sizeof(*wire));
    struct sbx_error err;
    const char *offered = httpd_header(request, "Sec-WebSocket-Protocol");
    if (!wire) {
        session_unref(session);
        httpd_fail(request, 503, "memory is short");
        return;
    }
    wire->session = session;
    wire->tells_exit = offered && strstr(offered, EXIT_CONTROL);
    pthread_mutex_lock(&session->lock);
    // A reference to the job through a listener of our own.
    int code = session->job ? 0 : err_set(&err, SBX_ERR_NOT_FOUND, "the terminal has ended");
    if (code == 0 && session->listener)
        wire->listener = steal_ptr(session->listener);
    else if (code == 0)
        code = job_listen(session->job, &wire->listener, &err);
    if (code == 0)
        wire->job = job_ref(session->job);
    pthread_mutex_unlock(&session->lock);
    if (code < 0) {
        wire_free(wire);
        serve_fail(request, &err);
        return;
    }
    ws_accept(request, wire->tells_exit ? EXIT_CONTROL : NULL, run_wire, wire_free, wire);
}

void toolbox_pty_connect(struct httpd_request *request)
{
    struct session *session = NULL;
    if (find(request, &session))
        connect_to(request, session);
}

// base64url without padding, in one of the offered protocols.
static struct jsonv *read_envs(const char *offered)
{
    const char *at = offered ? strstr(offered, ENVS) : NULL;
    if (!at)
        return NULL;
    at += strlen(ENVS);
    cleanup_buf struct buf text = BUF_INIT(64 * 1024), decoded = BUF_INIT(64 * 1024);
    buf_add(&text, at, strcspn(at, ", "));
    for (size_t i = 0; i < text.size; i++)
        text.data[i] = (char)(text.data[i] == '-' ? '+' : text.data[i] == '_' ? '/' : text.data[i]);
    while (text.size % 4)
        buf_add(&text, "=", 1);
    struct jsonv *root = NULL;
    struct sbx_error ignored;
    if (!text.failed && base64_decode(&decoded, text.data, text.size))
        jsonv_parse(decoded.data, decoded.size, &root, &ignored);
    return root;
}

static int64_t number(struct httpd_request *request, const char *name, int64_t fallback)
{
    const char *text = httpd_query(request, name);
    return text ? strtoll(text, NULL, 10) : fallback;
}

void toolbox_pty_create_connect(struct httpd_request *request)
{
    struct session *session = NULL;
    struct sbx_error err;
    cleanup_jsonv struct jsonv *envs = read_envs(httpd_header(request, "Sec-WebSocket-Protocol"));
    if (!httpd_header(request, "Upgrade")) {
        httpd_fail(request, 426, "this is a WebSocket");
        return;
    }
    int code = make(request, httpd_query(request, "id"), httpd_query(request, "cwd"),
                    number(request, "rows", 24), number(request, "cols", 80), envs, &session, &err);
    if (code == 0) {
        connect_to(request, session);
        return;
    }
    if (session)
        session_unref(session);
    serve_fail(request, &err);
}
