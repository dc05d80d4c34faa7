// SPDX-License-Identifier: Apache-2.0
// What e2b-code-interpreter finds at port 49999 of a sandbox: contexts, and pieces of code whose
// output comes as lines of JSON. Layer: serve.
#include <string.h>

#include "serve/envd.h"
#include "serve/interpreter.h"
#include "serve/sites.h"

#define REPLY_MAX (1024 * 1024)
#define BODY_MAX (16 * 1024 * 1024)

static void put_context(struct json *json, const struct session *context)
{
    json_begin_object(json);
    json_put_text(json, "id", context->name);
    json_put_text(json, "language", "python");
    json_put_text(json, "cwd", context->cwd[0] ? context->cwd : "/home/user");
    json_end_object(json);
}

// Python, by its names or none.
static int check_language(const struct jsonv *body, struct sbx_error *err)
{
    const char *language = jsonv_text(body, "language");
    if (!language || strcmp(language, "python") == 0 || strcmp(language, "python3") == 0)
        return 0;
    return err_set(err, SBX_ERR_INVALID, "language '%.64s' is not served: python is", language);
}

static void create(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_session struct session *context = NULL;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    struct sbx_error err;
    int code = serve_body(request, &body, &err);
    if (code == 0)
        code = check_language(body, &err);
    if (code == 0)
        code = interpreter_new(envd_box(request), jsonv_text(body, "cwd"), &context, &err);
    if (code < 0) {
        serve_fail(request, &err);
        return;
    }
    put_context(&json, context);
    httpd_reply_json(request, 201, &buf);
}

static void list(struct httpd_request *request)
{
    struct session *contexts[SESSIONS_MAX];
    size_t count = session_all(envd_box(request), SESSION_INTERPRETER, contexts, SESSIONS_MAX);
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        put_context(&json, contexts[i]);
        session_unref(contexts[i]);
    }
    json_end_array(&json);
    httpd_reply_json(request, 200, &buf);
}

static bool find(struct httpd_request *request, struct session **ret_context)
{
    struct sbx_error err;
    if (interpreter_find(envd_box(request), httpd_param(request, "id"), ret_context, &err) == 0)
        return true;
    serve_fail(request, &err);
    return false;
}

static void drop(struct httpd_request *request)
{
    cleanup_session struct session *context = NULL;
    if (!find(request, &context))
        return;
    session_close(context);
    httpd_reply(request, 204, NULL, NULL, 0);
}

static void restart(struct httpd_request *request)
{
    cleanup_session struct session *context = NULL;
    if (!find(request, &context))
        return;
    interpreter_restart(context);
    httpd_reply(request, 204, NULL, NULL, 0);
}

static void health(struct httpd_request *request)
{
    httpd_reply_text(request, 200, "OK");
}

// --- Pieces of code

struct run {
    struct httpd_request *request;
    struct session *context;
    struct interpreter_turn *turn;
    const char *line; // what has still to be sent of it
    size_t left;
    bool newline;
};

static void run_free(void *payload)
{
    struct run *run = payload;
    if (run->turn)
        interpreter_finish(run->turn);
    session_unref(run->context);
    free(run);
}

static bool has_left(void *payload)
{
    struct run *run = payload;
    return httpd_gone(run->request);
}

static ssize_t read_lines(void *payload, char *data, size_t size)
{
    struct run *run = payload;
    const char *type;
    if (run->newline && run->left == 0) {
        run->newline = false;
        data[0] = '\n';
        return 1;
    }
    if (run->left == 0 && !interpreter_next(run->turn, &type, &run->line, &run->left))
        return HTTPD_SOURCE_END;
    size_t part = run->left < size ? run->left : size;
    memcpy(data, run->line, part);
    run->line += part;
    run->left -= part;
    run->newline = true;
    return (ssize_t)part;
}

// Takes the context's reference over.
static void stream(struct httpd_request *request, const struct jsonv *body, struct session *context)
{
    struct run *run = calloc(1, sizeof(*run));
    struct sbx_error err;
    if (!run) {
        session_unref(context);
        httpd_fail(request, 503, "memory is short");
        return;
    }
    *run = (struct run){.request = request, .context = context};
    struct interpreter_ask ask = {.code = jsonv_text(body, "code"),
                                  .envs = jsonv_get(body, "env_vars"),
                                  .results = true,
                                  .gone = has_left,
                                  .payload = run};
    if (interpreter_begin(context, &ask, &run->turn, &err) < 0) {
        run_free(run);
        serve_fail(request, &err);
        return;
    }
    const struct httpd_source source = {.read = read_lines, .release = run_free, .payload = run};
    httpd_reply_stream(request, 200, "application/x-ndjson", &source);
}

static void execute(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    struct session *context = NULL;
    struct sbx_error err;
    int code = serve_body(request, &body, &err);
    if (code == 0 && !jsonv_text(body, "code"))
        code = err_set(&err, SBX_ERR_INVALID, "code is required");
    if (code == 0)
        code = check_language(body, &err);
    if (code == 0)
        code = interpreter_find(envd_box(request), jsonv_text(body, "context_id"), &context, &err);
    if (code < 0)
        serve_fail(request, &err);
    else
        stream(request, body, context);
}

#define ROW(verb, path, function)                                                                  \
    {                                                                                              \
        .method = verb, .pattern = path, .handler = function, .body_limit = BODY_MAX               \
    }
static const struct httpd_route routes[] = {
    ROW("GET", "/health", health),         ROW("POST", "/execute", execute),
    ROW("GET", "/contexts", list),         ROW("POST", "/contexts", create),
    ROW("DELETE", "/contexts/{id}", drop), ROW("POST", "/contexts/{id}/restart", restart),
};
const struct httpd_site e2b_code_site = {routes, ARRAY_SIZE(routes), envd_authorize, envd_fail};
