// SPDX-License-Identifier: Apache-2.0
// Daytona's toolbox: who may, its table of routes, commands without a session. Layer: serve.
#include "serve/toolbox.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "serve/auth.h"
#include "serve/daytona_api.h"
#include "serve/sites.h"
#include "serve/toolbox_git.h"

#define REPLY_MAX (128 * 1024 * 1024)
#define OUTPUT_MAX (32 * 1024 * 1024)
#define EXECUTE_DEFAULT_MS (360 * 1000)
#define BODY_MAX (16 * 1024 * 1024)
#define ARGS_MAX 256

static const char *code_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *code;
    } rows[] = {
        {400, "BAD_REQUEST"},       {401, "UNAUTHORIZED"},    {403, "FORBIDDEN"},
        {404, "NOT_FOUND"},         {408, "REQUEST_TIMEOUT"}, {409, "CONFLICT"},
        {429, "TOO_MANY_REQUESTS"}, {501, "NOT_IMPLEMENTED"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].status == status)
            return rows[i].code;
    return "INTERNAL_SERVER_ERROR";
}

static void fail(struct httpd_request *request, unsigned status, const char *message)
{
    char time[SERVE_TIME_SIZE];
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, false);
    serve_time(clock_unix_ms(), time);
    json_begin_object(&json);
    json_put_uint(&json, "statusCode", status);
    json_put_text(&json, "message", message);
    json_put_text(&json, "code", code_of(status));
    json_put_text(&json, "timestamp", time);
    json_put_text(&json, "path", httpd_path(request));
    json_put_text(&json, "method", httpd_method(request));
    json_end_object(&json);
    httpd_reply_json(request, status, &buf);
}

static void release_box(void *state)
{
    struct place *box = state;
    atomic_fetch_sub(&box->active, 1);
    place_touch(box);
    place_unref(box);
}

// An address that a client has signed with the sandbox's key, for one file and some time:
// "v1_", and base64url of HMAC-SHA256 over "v1:files:METHOD:PATH:EXPIRES".
static bool is_signed(struct httpd_request *request, const struct place *box)
{
    const char *signature = httpd_query(request, "signature");
    const char *path = httpd_query(request, "path"), *expires = httpd_query(request, "expires");
    char key[SHA256_HEX_SIZE], *end;
    uint8_t digest[SHA256_SIZE];
    cleanup_buf struct buf text = BUF_INIT(64 * 1024), wanted = BUF_INIT(128);
    int64_t until = expires ? strtoll(expires, &end, 10) : 0;
    if (!signature || !path || !expires || *end || (until && until * 1000 < clock_unix_ms()))
        return false;
    daytona_signing_key(box, key);
    buf_printf(&text, "v1:files:%s:%s:%s", httpd_method(request), path, expires);
    keys_hmac(key, strlen(key), text.data, text.size, digest);
    buf_puts(&wanted, "v1_");
    base64_encode(&wanted, digest, sizeof(digest));
    wanted.size -= 1; // 32 bytes end in one '='
    const char *made = buf_text(&wanted);
    for (char *at = wanted.data; made && *at; at++)
        *at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at);
    return made && !text.failed && keys_equal(made, signature);
}

static bool takes_signatures(const char *rest)
{
    const char *path = strchr(rest, '/');
    return path && (strcmp(path, "/files/download") == 0 || strcmp(path, "/files/upload-v2") == 0);
}

static bool authorize(struct httpd_request *request)
{
    char id[SHEET_ID_SIZE];
    struct sbx_error err;
    struct place *box;
    const char *rest = httpd_path(request) + strlen("/toolbox/");
    bool by_signature = takes_signatures(rest) && httpd_query(request, "signature") &&
                        !httpd_header(request, "Authorization");
    if (!by_signature && !auth_daytona(request))
        return false;
    snprintf(id, sizeof(id), "%.*s", (int)strcspn(rest, "/"), rest);
    if (place_get(serve_of(request), id, &box, &err) < 0) {
        httpd_fail(request, 404, err.message);
        return false;
    }
    atomic_fetch_add(&box->active, 1);
    httpd_set_state(request, box, release_box);
    if (by_signature && is_signed(request, box))
        httpd_set_user(request, box->sheet.owner);
    else if (by_signature) {
        httpd_fail(request, 401, "the signature does not fit, or has expired");
        return false;
    }
    if (strcmp(box->sheet.owner, httpd_user(request)) != 0) {
        httpd_fail(request, 404, "the sandbox was not found");
        return false;
    }
    place_touch(box);
    if (box->sheet.state == SHEET_AS_IS && !box->sheet.paused_ms)
        return true;
    httpd_fail(request, 400, "the sandbox is not started");
    return false;
}

struct place *toolbox_box(const struct httpd_request *request)
{
    return httpd_state(request);
}

// --- Commands without a session

struct run {
    struct pairlist env;
    struct sbx_exec exec;
    const char *argv[ARGS_MAX + 8];
};

static int read_common(const struct jsonv *body, struct run *run, struct sbx_error *err)
{
    run->exec.flags = SBX_EXEC_MERGE;
    run->exec.argv = run->argv;
    run->exec.cwd = jsonv_text(body, "cwd");
    if (run->exec.cwd && !run->exec.cwd[0])
        run->exec.cwd = NULL;
    int64_t seconds = jsonv_int(body, "timeout", 0);
    if (seconds < 0 || seconds > 86400 * 30)
        return err_set(err, SBX_ERR_INVALID, "timeout must be a number of seconds");
    run->exec.timeout_ms = seconds ? seconds * 1000 : EXECUTE_DEFAULT_MS;
    run->exec.output_limit = OUTPUT_MAX;
    int code = pairlist_read(&run->env, jsonv_get(body, "envs"), "envs", err);
    run->exec.env = run->env.items;
    run->exec.env_count = run->env.count;
    return code;
}

static void reply_run(struct httpd_request *request, const struct sbx_outcome *outcome,
                      const char *text, size_t size, bool code_run)
{
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_int(&json, "exitCode", outcome->signal ? -1 : outcome->exit_code);
    json_key(&json, "result");
    json_bytes(&json, text, size);
    if (code_run) {
        json_key(&json, "artifacts");
        json_begin_object(&json);
        json_key(&json, "charts");
        json_begin_array(&json);
        json_end_array(&json);
        json_end_object(&json);
    }
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

// The API has no field for what ended a command, so its output says that it was memory.
static void reply_result(struct httpd_request *request, const struct sbx_result *result,
                         bool code_run)
{
    cleanup_buf struct buf text = BUF_INIT(OUTPUT_MAX + 128);
    if (!(result->outcome.flags & SBX_OUTCOME_OOM)) {
        reply_run(request, &result->outcome, result->out ? result->out : "", result->out_size,
                  code_run);
        return;
    }
    buf_add(&text, result->out, result->out_size);
    buf_puts(&text, "\n[sandboxes serve: killed: out of memory]\n");
    reply_run(request, &result->outcome, text.data, text.size, code_run);
}

static void log_run(struct place *box, const struct run *run, const struct sbx_result *result)
{
    size_t size = result->out_size < LOGBOOK_OUTPUT_MAX ? result->out_size : LOGBOOK_OUTPUT_MAX;
    logbook_event(&box->log, "%.480s", run->argv[run->exec.argc - 1]);
    logbook_output(&box->log, LOG_STDOUT, result->out, size);
    logbook_event(&box->log, "exit status %d",
                  result->outcome.signal ? -1 : (int)result->outcome.exit_code);
    if (result->outcome.flags & SBX_OUTCOME_OOM)
        atomic_store(&box->out_of_memory, true);
}

static void run_it(struct httpd_request *request, struct run *run, bool code_run)
{
    struct sbx_result result = {0};
    struct sbx_error err;
    struct place *box = toolbox_box(request);
    struct sbx_call call = serve_call(request, 0);
    cleanup_free struct sbx_pair *env = NULL;
    struct sbx_exec full;
    int code = place_exec(box, &run->exec, &full, &env, &err);
    if (code == 0)
        code = sbx_run(box->sandbox, &full, &call, &result, &err);
    if (code == SBX_ERR_EXEC && !code_run) { // bash where there is one
        run->argv[0] = "/bin/sh";
        code = sbx_run(box->sandbox, &full, &call, &result, &err);
    }
    if (code < 0 && code != SBX_ERR_EXEC) {
        place_lost(box, &err);
        serve_fail(request, &err);
        return;
    }
    if (code == 0)
        log_run(box, run, &result);
    if (code == SBX_ERR_EXEC) {
        struct sbx_outcome none = {.exit_code = -1};
        reply_run(request, &none, err.message, strlen(err.message), code_run);
    } else if (result.outcome.flags & SBX_OUTCOME_TIMED_OUT) {
        httpd_fail(request, 408, "command execution timeout");
    } else {
        reply_result(request, &result, code_run);
    }
    sbx_result_deinit(&result);
    place_touch(box);
}

void toolbox_execute(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    struct run run = {.exec = SBX_EXEC_INIT};
    struct sbx_error err;
    int code = serve_body(request, &body, &err);
    if (code == 0 && jsonv_get(body, "program")) {
        toolbox_program(request, body);
        return;
    }
    if (code == 0)
        code = read_common(body, &run, &err);
    const char *command = jsonv_text(body, "command");
    if (code < 0) {
        serve_fail(request, &err);
    } else if (!command || !command[0]) {
        httpd_fail(request, 400, "command is required");
    } else {
        run.argv[0] = "/bin/bash";
        run.argv[1] = "-c";
        run.argv[2] = command;
        run.exec.argc = 3;
        run_it(request, &run, false);
    }
    pairlist_deinit(&run.env);
}

static const char *const languages[][3] = {
    {"python", "python3", "-c"},
    {"javascript", "node", "-e"},
    {"typescript", "node", "-e"},
};

static int read_code(const struct jsonv *body, struct run *run, struct sbx_error *err)
{
    const char *language = jsonv_text(body, "language"), *code = jsonv_text(body, "code");
    const struct jsonv *args = jsonv_get(body, "argv");
    if (!code)
        return err_set(err, SBX_ERR_INVALID, "code is required");
    for (size_t i = 0; i < ARRAY_SIZE(languages); i++) {
        if (language && strcmp(language, languages[i][0]) != 0)
            continue;
        run->argv[0] = languages[i][1];
        run->argv[1] = languages[i][2];
        run->argv[2] = code;
        run->exec.argc = 3;
        for (size_t k = 0; k < jsonv_count(args) && k < ARGS_MAX; k++)
            if (jsonv_as_text(jsonv_at(args, k)))
                run->argv[run->exec.argc++] = jsonv_as_text(jsonv_at(args, k));
        return 0;
    }
    return err_set(err, SBX_ERR_INVALID, "language must be python, typescript or javascript");
}

void toolbox_code_run(struct httpd_request *request)
{
    cleanup_jsonv struct jsonv *body = NULL;
    struct run run = {.exec = SBX_EXEC_INIT};
    struct sbx_error err;
    int code = serve_body(request, &body, &err);
    if (code == 0)
        code = read_common(body, &run, &err);
    if (code == 0)
        code = read_code(body, &run, &err);
    if (code < 0)
        serve_fail(request, &err);
    else
        run_it(request, &run, true);
    pairlist_deinit(&run.env);
}

// --- Small answers

static void reply_member(struct httpd_request *request, const char *key, const char *value)
{
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_text(&json, key, value);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void version(struct httpd_request *request)
{
    reply_member(request, "version", SBX_VERSION);
}

static void directory(struct httpd_request *request)
{
    reply_member(request, "dir", "/home/user");
}

#define T "/toolbox/{sandbox}"
#define ROW(verb, path, function)                                                                  \
    {                                                                                              \
        .method = verb, .pattern = T path, .handler = function, .body_limit = BODY_MAX             \
    }
#define GIT(verb, path, words)                                                                     \
    {                                                                                              \
        .method = verb, .pattern = T "/git" path, .handler = toolbox_git_do, .data = &(words)      \
    }
#define REFUSED(path, why) SERVE_REFUSED("*", T path, why)
#define UPLOAD(path)                                                                               \
    {                                                                                              \
        .method = "POST", .pattern = T path, .handler = toolbox_files_upload,                      \
        .begin = toolbox_files_upload_begin, .body_limit = (size_t)64 << 30                        \
    }
static const struct httpd_route routes[] = {
    ROW("GET", "/version", version),
    ROW("GET", "/work-dir", directory),
    ROW("GET", "/user-home-dir", directory),
    ROW("GET", "/system/metrics", toolbox_metrics),
    ROW("POST", "/process/execute", toolbox_execute),
    ROW("POST", "/process/code-run", toolbox_code_run),
    ROW("POST", "/process/session", toolbox_session_create),
    ROW("GET", "/process/session", toolbox_session_list),
    ROW("GET", "/process/session/entrypoint", toolbox_entrypoint),
    ROW("GET", "/process/session/entrypoint/logs", toolbox_entrypoint_logs),
    ROW("GET", "/process/session/{s}", toolbox_session_show),
    ROW("DELETE", "/process/session/{s}", toolbox_session_delete),
    ROW("POST", "/process/session/{s}/exec", toolbox_session_exec),
    ROW("GET", "/process/session/{s}/command/{c}", toolbox_session_command),
    ROW("GET", "/process/session/{s}/command/{c}/logs", toolbox_session_logs),
    ROW("POST", "/process/session/{s}/command/{c}/input", toolbox_session_input),
    ROW("POST", "/process/pty", toolbox_pty_create),
    ROW("GET", "/process/pty", toolbox_pty_list),
    ROW("GET", "/process/pty/create-connect", toolbox_pty_create_connect),
    ROW("GET", "/process/pty/{s}", toolbox_pty_show),
    ROW("DELETE", "/process/pty/{s}", toolbox_pty_delete),
    ROW("POST", "/process/pty/{s}/resize", toolbox_pty_resize),
    ROW("GET", "/process/pty/{s}/connect", toolbox_pty_connect),
    ROW("GET", "/files", toolbox_files_list),
    ROW("DELETE", "/files", toolbox_files_delete),
    ROW("GET", "/files/info", toolbox_files_info),
    ROW("POST", "/files/folder", toolbox_files_folder),
    ROW("POST", "/files/move", toolbox_files_move),
    ROW("POST", "/files/permissions", toolbox_files_permissions),
    ROW("GET", "/files/find", toolbox_files_find),
    ROW("GET", "/files/search", toolbox_files_search),
    ROW("POST", "/files/replace", toolbox_files_replace),
    ROW("GET", "/files/download", toolbox_files_download),
    ROW("POST", "/files/bulk-download", toolbox_files_bulk_download),
    UPLOAD("/files/upload"),
    UPLOAD("/files/upload-v2"),
    UPLOAD("/files/bulk-upload"),
    ROW("GET", "/process/interpreter/context", toolbox_context_list),
    ROW("POST", "/process/interpreter/context", toolbox_context_create),
    ROW("DELETE", "/process/interpreter/context/{id}", toolbox_context_delete),
    ROW("GET", "/process/interpreter/execute", toolbox_context_execute),
    ROW("POST", "/env", toolbox_env),
    ROW("GET", "/port", toolbox_ports),
    ROW("GET", "/port/{port}/in-use", toolbox_port_in_use),
    GIT("POST", "/add", git_add),
    GIT("POST", "/init", git_init),
    GIT("POST", "/branches", git_branch),
    GIT("DELETE", "/branches", git_branch_drop),
    GIT("POST", "/checkout", git_checkout),
    GIT("POST", "/reset", git_reset),
    GIT("POST", "/restore", git_restore),
    GIT("POST", "/push", git_push),
    GIT("POST", "/pull", git_pull),
    ROW("POST", "/git/clone", toolbox_git_clone),
    ROW("POST", "/git/commit", toolbox_git_commit),
    ROW("POST", "/git/remotes", toolbox_git_add_remote),
    ROW("POST", "/git/config", toolbox_git_set_config),
    ROW("POST", "/git/config/user", toolbox_git_set_user),
    ROW("POST", "/git/credentials", toolbox_git_credentials),
    ROW("GET", "/git/status", toolbox_git_status),
    ROW("GET", "/git/history", toolbox_git_history),
    ROW("GET", "/git/branches", toolbox_git_branches),
    ROW("GET", "/git/remotes", toolbox_git_remotes),
    ROW("GET", "/git/config", toolbox_git_config),
    REFUSED("/lsp/*", "language servers are not served: start one in a session"),
    REFUSED("/computeruse/*", "computer use is not served: these sandboxes have no desktop"),
};
const struct httpd_site toolbox_site = {routes, ARRAY_SIZE(routes), authorize, fail};
