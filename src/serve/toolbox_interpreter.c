// SPDX-License-Identifier: Apache-2.0
// Daytona's code interpreter: contexts, and a WebSocket for each piece of code. Layer: serve.
#include <string.h>

#include "httpd/ws.h"
#include "serve/interpreter.h"
#include "serve/toolbox.h"

#define REPLY_MAX (1024 * 1024)
#define ASK_MS 30000
#define TIMEOUT_DEFAULT_S 600
#define WS_TIMED_OUT 4008 // as clients know it
#define WS_REFUSED 1008

// --- Contexts

static void put_context(struct json *json, struct session *context)
{
    char time[SERVE_TIME_SIZE];
    serve_time(context->created_ms, time);
    json_begin_object(json);
    json_put_text(json, "id", context->name);
    json_put_text(json, "cwd", context->cwd[0] ? context->cwd : "/home/user");
    json_put_text(json, "createdAt", time);
    json_put_bool(json, "active", !context->closed);
    json_put_text(json, "language", "python");
    json_end_object(json);
}

void toolbox_context_create(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_session struct session *context = NULL;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    struct sbx_error err;
    int code = serve_body(request, &body, &err);
    const char *language = jsonv_text(body, "language");
    if (code == 0 && language && strcmp(language, "python") != 0)
        code = err_set(&err, SBX_ERR_INVALID, "language must be python");
    if (code == 0)
        code = interpreter_new(toolbox_box(request), jsonv_text(body, "cwd"), &context, &err);
    if (code < 0) {
        serve_fail(request, &err);
        return;
    }
    put_context(&json, context);
    httpd_reply_json(request, 200, &buf);
}

// The default one is nobody's to see.
void toolbox_context_list(struct httpd_request *request)
{
    struct session *contexts[SESSIONS_MAX];
    size_t count = session_all(toolbox_box(request), SESSION_INTERPRETER, contexts, SESSIONS_MAX);
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_key(&json, "contexts");
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(contexts[i]->name, INTERPRETER_DEFAULT) != 0)
            put_context(&json, contexts[i]);
        session_unref(contexts[i]);
    }
    json_end_array(&json);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_context_delete(struct httpd_request *request)
{
    static const char text[] = "{\"message\":\"Context deleted\"}";
    const char *id = httpd_param(request, "id");
    cleanup_session struct session *context = NULL;
    struct sbx_error err;
    if (strcmp(id, INTERPRETER_DEFAULT) == 0) {
        httpd_fail(request, 400, "the default context cannot be deleted");
    } else if (interpreter_find(toolbox_box(request), id, &context, &err) < 0) {
        serve_fail(request, &err);
    } else {
        session_close(context);
        httpd_reply(request, 200, "application/json", text, sizeof(text) - 1);
    }
}

// --- The WebSocket

struct wire {
    struct place *box;
    struct ws *ws;
};

static void wire_free(void *payload)
{
    struct wire *wire = payload;
    place_unref(wire->box);
    free(wire);
}

static bool has_left(void *payload)
{
    struct wire *wire = payload;
    const char *ignored;
    int kind;
    return ws_read(wire->ws, 0, &kind, &ignored) < 0;
}

static bool is_known(const char *type)
{
    return strcmp(type, "stdout") == 0 || strcmp(type, "stderr") == 0 || strcmp(type, "error") == 0;
}

static void run(struct wire *wire, struct session *context, const struct interpreter_ask *ask)
{
    struct interpreter_turn *turn;
    struct sbx_error err;
    const char *type, *line;
    size_t size;
    if (interpreter_begin(context, ask, &turn, &err) < 0) {
        ws_close(wire->ws, WS_FAILED, err.message);
        return;
    }
    while (interpreter_next(turn, &type, &line, &size))
        if (is_known(type) && ws_send(wire->ws, WS_TEXT, line, size) < 0)
            break;
    if (interpreter_finish(turn) == INTERPRETER_TIMED_OUT)
        ws_close(wire->ws, WS_TIMED_OUT, "Execution timed out");
    else
        ws_close(wire->ws, WS_NORMAL, NULL);
}

static void execute(struct wire *wire, const struct jsonv *body)
{
    cleanup_session struct session *context = NULL;
    struct sbx_error err;
    int64_t seconds = jsonv_int(body, "timeout", TIMEOUT_DEFAULT_S);
    struct interpreter_ask ask = {.code = jsonv_text(body, "code"),
                                  .envs = jsonv_get(body, "envs"),
                                  .timeout_ms = seconds * 1000,
                                  .gone = has_left,
                                  .payload = wire};
    if (!ask.code || seconds < 0 || seconds > 86400 * 30) {
        ws_close(wire->ws, WS_REFUSED, "code is required");
        return;
    }
    if (interpreter_find(wire->box, jsonv_text(body, "contextId"), &context, &err) < 0) {
        ws_close(wire->ws, WS_REFUSED, err.message);
        return;
    }
    run(wire, context, &ask);
}

static void run_wire(struct ws *ws, void *payload)
{
    struct wire *wire = payload;
    struct sbx_error err;
    cleanup_jsonv struct jsonv *body = NULL;
    const char *data;
    int kind;
    wire->ws = ws;
    ssize_t size = ws_read(ws, ASK_MS, &kind, &data);
    if (size > 0 && jsonv_parse(data, (size_t)size, &body, &err) == 0)
        execute(wire, body);
    else if (size >= 0)
        ws_close(ws, WS_REFUSED, "the first message is an object of JSON with the code");
    wire_free(wire);
}

void toolbox_context_execute(struct httpd_request *request)
{
    struct wire *wire = malloc(sizeof(*wire));
    if (!wire) {
        httpd_fail(request, 503, "memory is short");
        return;
    }
    *wire = (struct wire){.box = place_ref(toolbox_box(request))};
    ws_accept(request, NULL, run_wire, wire_free, wire);
}
