// SPDX-License-Identifier: Apache-2.0
// E2B's control plane: one sandbox, and the table of routes. Layer: serve.
#include "serve/e2b_api.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "serve/auth.h"
#include "serve/sites.h"

#define CLIENT_ID "6532622b" // a constant of the protocol

static void fail(struct httpd_request *request, unsigned status, const char *message)
{
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_uint(&json, "code", status);
    json_put_text(&json, "message", message);
    json_end_object(&json);
    httpd_reply(request, status, "application/json", buf.data, buf.size);
}

// --- What a sandbox looks like

void e2b_put_time(struct json *json, const char *key, int64_t unix_ms)
{
    char text[SERVE_TIME_SIZE];
    serve_time(unix_ms, text);
    json_put_text(json, key, text);
}

static void put_common(struct json *json, const struct place *box)
{
    json_put_text(json, "templateID", box->sheet.image);
    json_put_text(json, "alias", box->sheet.image);
    json_put_text(json, "sandboxID", box->sheet.id);
    json_put_text(json, "clientID", CLIENT_ID);
    json_put_text(json, "envdVersion", E2B_ENVD_VERSION);
}

static void put_access(struct json *json, const struct place *box)
{
    char token[SHA256_HEX_SIZE];
    if (box->sheet.secure) {
        auth_token(box->serve, "envd", box->sheet.id, token);
        json_put_text(json, "envdAccessToken", token);
        auth_token(box->serve, "traffic", box->sheet.id, token);
        json_put_text(json, "trafficAccessToken", token);
    }
    json_put_text(json, "domain", box->serve->settings.domain);
}

void e2b_put_access_object(struct json *json, const struct place *box)
{
    json_begin_object(json);
    put_common(json, box);
    put_access(json, box);
    json_end_object(json);
}

void e2b_reply_sandbox(struct httpd_request *request, unsigned status, const struct place *box)
{
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    e2b_put_access_object(&json, box);
    httpd_reply_json(request, status, &buf);
}

#define MIB (1024 * 1024)

static void put_details(struct json *json, struct place *box, const struct sbx_info *info)
{
    const struct sheet *sheet = &box->sheet;
    int64_t end = sheet->paused_ms ? sheet->paused_ms : sheet->end_ms;
    put_common(json, box);
    e2b_put_time(json, "startedAt", sheet->created_ms);
    // Clients want an end; one far away stands for none.
    e2b_put_time(json, "endAt", end ? end : sheet->created_ms + (int64_t)10 * 365 * 86400 * 1000);
    json_put_uint(json, "cpuCount", info->cpu_millis > 1000 ? info->cpu_millis / 1000 : 1);
    json_put_uint(json, "memoryMB", info->memory_bytes / MIB);
    json_put_uint(json, "diskSizeMB", info->disk_bytes / MIB);
    json_key(json, "metadata");
    pairlist_write(&sheet->labels, json);
    json_put_text(json, "state", sheet->paused_ms ? "paused" : "running");
    json_key(json, "volumeMounts");
    json_begin_array(json);
    json_end_array(json);
}

void e2b_put_sandbox(struct json *json, struct place *box, bool access)
{
    struct sbx_info info;
    struct sbx_error err;
    if (place_info(box, &info, &err) < 0)
        return;
    pthread_mutex_lock(&box->lock);
    json_begin_object(json);
    put_details(json, box, &info);
    if (access) {
        put_access(json, box);
        json_put_bool(json, "allowInternetAccess", box->sheet.internet);
        json_key(json, "lifecycle");
        json_begin_object(json);
        json_put_bool(json, "autoResume", box->sheet.auto_resume);
        json_put_text(json, "onTimeout", box->sheet.auto_pause ? "pause" : "kill");
        json_end_object(json);
    }
    json_end_object(json);
    pthread_mutex_unlock(&box->lock);
}

// --- One sandbox

// why: what place_get() said, or NULL.
void e2b_fail_missing(struct httpd_request *request, const char *id, const char *why)
{
    char text[512];
    const char *reason = why ? strstr(why, ": ") : NULL;
    snprintf(text, sizeof(text), "Sandbox \"%.64s\" doesn't exist or you don't have access to it%s",
             id, reason ? reason : "");
    httpd_fail(request, 404, text);
}

bool e2b_find(struct httpd_request *request, struct place **ret_box)
{
    struct sbx_error err;
    const char *id = httpd_param(request, "id");
    if (place_get(serve_of(request), id, ret_box, &err) == 0) {
        if (strcmp((*ret_box)->sheet.owner, httpd_user(request)) == 0 &&
            (*ret_box)->sheet.api == API_E2B)
            return true;
        place_unref(*ret_box);
        *ret_box = NULL;
        e2b_fail_missing(request, id, NULL);
        return false;
    }
    e2b_fail_missing(request, id, err.message);
    return false;
}

void e2b_fail_of(struct httpd_request *request, const struct place *box,
                 const struct sbx_error *err)
{
    if (err->code == SBX_ERR_NOT_FOUND || err->code == SBX_ERR_UNAVAILABLE)
        e2b_fail_missing(request, box->sheet.id, err->message);
    else
        serve_fail(request, err);
}

static void show(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!e2b_find(request, &box))
        return;
    e2b_put_sandbox(&json, box, true);
    if (buf.size == 0)
        e2b_fail_missing(request, box->sheet.id, NULL);
    else
        httpd_reply_json(request, 200, &buf);
}

static void kill_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!e2b_find(request, &box))
        return;
    if (place_destroy(box, "it was killed by request", &err) < 0)
        e2b_fail_of(request, box, &err);
    else
        httpd_reply(request, 204, NULL, NULL, 0);
}

static bool is_paused(struct place *box)
{
    pthread_mutex_lock(&box->lock);
    bool paused = box->sheet.paused_ms != 0;
    pthread_mutex_unlock(&box->lock);
    return paused;
}

static void set_life(struct httpd_request *request, const char *member)
{
    cleanup_place struct place *box = NULL;
    cleanup_jsonv struct jsonv *body = NULL;
    struct sbx_error err;
    if (!e2b_find(request, &box))
        return;
    if (serve_body(request, &body, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    int64_t seconds = jsonv_int(body, member, -1), most = box->serve->settings.max_life_ms / 1000;
    if (seconds < 0) {
        httpd_fail(request, 400, "validation error: the timeout must be a number of seconds");
        return;
    }
    if (is_paused(box))
        e2b_fail_missing(request, box->sheet.id, NULL);
    // What is beyond the limit gets what the limit allows.
    else if (place_set_life(box, seconds == 0 ? 1 : (seconds > most ? most : seconds) * 1000,
                            &err) < 0)
        e2b_fail_of(request, box, &err);
    else
        httpd_reply(request, 204, NULL, NULL, 0);
}

static void set_timeout(struct httpd_request *request)
{
    set_life(request, "timeout");
}

static void refresh(struct httpd_request *request)
{
    set_life(request, "duration");
}

static void pause_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!e2b_find(request, &box))
        return;
    if (is_paused(box)) {
        char text[256];
        snprintf(text, sizeof(text), "Error pausing sandbox - sandbox '%s' is already paused",
                 box->sheet.id);
        httpd_fail(request, 409, text);
    } else if (place_pause(box, &err) < 0) {
        e2b_fail_of(request, box, &err);
    } else {
        httpd_reply(request, 204, NULL, NULL, 0);
    }
}

// The end of life is only ever put off.
static int lengthen(struct place *box, int64_t life_ms, struct sbx_error *err)
{
    pthread_mutex_lock(&box->lock);
    bool later = clock_unix_ms() + life_ms > box->sheet.end_ms;
    pthread_mutex_unlock(&box->lock);
    return later ? place_set_life(box, life_ms, err) : 0;
}

static void connect_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_jsonv struct jsonv *body = NULL;
    struct sbx_error err;
    int64_t life_ms = 0;
    if (!e2b_find(request, &box))
        return;
    if (serve_body(request, &body, &err) < 0 ||
        e2b_read_life(request, body, E2B_LIFE_S, &life_ms, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    bool paused = is_paused(box);
    struct sbx_info info;
    int code = paused ? place_resume(box, &err) : place_info(box, &info, &err);
    if (code == 0)
        code = paused ? place_set_life(box, life_ms, &err) : lengthen(box, life_ms, &err);
    if (code < 0)
        e2b_fail_of(request, box, &err);
    else
        e2b_reply_sandbox(request, paused ? 201 : 200, box);
}

static void resume_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    if (!e2b_find(request, &box))
        return;
    if (is_paused(box)) {
        connect_one(request);
        return;
    }
    char text[256];
    snprintf(text, sizeof(text), "Sandbox %s is already running", box->sheet.id);
    httpd_fail(request, 409, text);
}

static void health(struct httpd_request *request)
{
    httpd_reply_text(request, 200, "Health check successful");
}

#define ROW(verb, path, function)                                                                  \
    {                                                                                              \
        .method = verb, .pattern = path, .handler = function                                       \
    }
#define REFUSED SERVE_REFUSED
#define NO_BUILDS "templates are not built here: start 'sandboxes serve' with --template NAME=IMAGE"
#define NO_TAGS "templates have no tags here"
#define NO_VOLUMES "volumes are not served: a snapshot keeps files for other sandboxes"
#define NO_SECRETS "secrets are not served: give variables to the sandbox or the command"
static const struct httpd_route routes[] = {
    ROW("GET", "/sandboxes", e2b_list),
    ROW("GET", "/v2/sandboxes", e2b_list),
    ROW("POST", "/sandboxes", e2b_create),
    ROW("POST", "/v2/sandboxes", e2b_create),
    ROW("GET", "/sandboxes/metrics", e2b_metrics_many),
    ROW("GET", "/sandboxes/{id}", show),
    ROW("DELETE", "/sandboxes/{id}", kill_one),
    ROW("POST", "/sandboxes/{id}/timeout", set_timeout),
    ROW("POST", "/sandboxes/{id}/refreshes", refresh),
    ROW("POST", "/sandboxes/{id}/pause", pause_one),
    ROW("POST", "/sandboxes/{id}/connect", connect_one),
    ROW("POST", "/v2/sandboxes/{id}/connect", connect_one),
    ROW("POST", "/sandboxes/{id}/resume", resume_one),
    ROW("PUT", "/sandboxes/{id}/network", e2b_set_network),
    ROW("GET", "/sandboxes/{id}/metrics", e2b_metrics_one),
    ROW("GET", "/sandboxes/{id}/logs", e2b_logs),
    ROW("GET", "/v2/sandboxes/{id}/logs", e2b_logs),
    ROW("POST", "/sandboxes/{id}/snapshots", e2b_snapshot),
    ROW("POST", "/sandboxes/{id}/fork", e2b_fork),
    ROW("GET", "/snapshots", e2b_snapshots),
    ROW("DELETE", "/templates/{id}", e2b_snapshot_delete),
    ROW("GET", "/templates", e2b_templates),
    ROW("GET", "/v2/templates", e2b_templates),
    ROW("GET", "/templates/aliases/{id}", e2b_template_show),
    ROW("GET", "/templates/{id}", e2b_template_show),
    REFUSED("*", "/templates/tags", NO_TAGS),
    REFUSED("*", "/templates/{id}/tags", NO_TAGS),
    REFUSED("*", "/templates/{id}/tags/*", NO_TAGS),
    REFUSED("*", "/templates/{id}/builds/*", NO_BUILDS),
    REFUSED("*", "/templates/{id}/files/*", NO_BUILDS),
    REFUSED("POST", "/templates", NO_BUILDS),
    REFUSED("PATCH", "/templates/{id}", NO_BUILDS),
    REFUSED("POST", "/v2/templates", NO_BUILDS),
    REFUSED("*", "/v2/templates/*", NO_BUILDS),
    REFUSED("POST", "/v3/templates", NO_BUILDS),
    REFUSED("*", "/volumes", NO_VOLUMES),
    REFUSED("*", "/volumes/*", NO_VOLUMES),
    REFUSED("*", "/secrets", NO_SECRETS),
    REFUSED("*", "/secrets/*", NO_SECRETS),
};
const struct httpd_site e2b_api_site = {routes, ARRAY_SIZE(routes), auth_e2b, fail};

static const struct httpd_route open_routes[] = {ROW("GET", "/health", health)};
const struct httpd_site e2b_open_site = {open_routes, ARRAY_SIZE(open_routes), NULL, fail};
