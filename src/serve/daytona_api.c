// SPDX-License-Identifier: Apache-2.0
// Daytona's control plane: one sandbox, and the table of routes. Layer: serve.
#include "serve/daytona_api.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "serve/auth.h"
#include "serve/session.h"
#include "serve/sites.h"

static const char *reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } rows[] = {
        {400, "Bad Request"},       {401, "Unauthorized"},        {403, "Forbidden"},
        {404, "Not Found"},         {405, "Method Not Allowed"},  {409, "Conflict"},
        {413, "Payload Too Large"}, {429, "Too Many Requests"},   {501, "Not Implemented"},
        {502, "Bad Gateway"},       {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "Internal Server Error";
}

void daytona_put_time(struct json *json, const char *key, int64_t unix_ms)
{
    char text[SERVE_TIME_SIZE];
    serve_time(unix_ms, text);
    json_put_text(json, key, text);
}

static void fail(struct httpd_request *request, unsigned status, const char *message)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_text(&json, "path", httpd_path(request));
    daytona_put_time(&json, "timestamp", clock_unix_ms());
    json_put_uint(&json, "statusCode", status);
    json_put_text(&json, "error", reason_of(status));
    json_put_text(&json, "message", message);
    json_end_object(&json);
    httpd_reply_json(request, status, &buf);
}

// --- What a sandbox looks like

static void toolbox_url(struct httpd_request *request, char *ret_url, size_t size)
{
    const struct serve *serve = serve_of(request);
    const char *host = httpd_header(request, "Host");
    if (serve->settings.proxy_url)
        snprintf(ret_url, size, "%s/toolbox", serve->settings.proxy_url);
    else
        snprintf(ret_url, size, "%s://%s/toolbox", httpd_scheme(serve->httpd),
                 host ? host : "127.0.0.1");
}

const char *daytona_state_of(const struct sheet *sheet)
{
    return sheet->state == SHEET_ARCHIVED  ? "archived"
           : sheet->state == SHEET_STOPPED ? "stopped"
           : sheet->paused_ms              ? "paused"
                                           : "started";
}

static void put_resources(struct json *json, const struct sbx_info *info)
{
    json_put_uint(json, "cpu", info->cpu_millis > 1000 ? info->cpu_millis / 1000 : 1);
    json_put_uint(json, "gpu", 0);
    json_put_uint(json, "memory", (info->memory_bytes + GIB - 1) / GIB);
    json_put_uint(json, "disk", (info->disk_bytes + GIB - 1) / GIB);
}

static void put_intervals(struct json *json, const struct sheet *sheet)
{
    json_put_int(json, "autoStopInterval", sheet->auto_stop);
    json_put_int(json, "autoPauseInterval", sheet->idle_pause);
    json_put_int(json, "autoArchiveInterval", sheet->auto_archive);
    json_put_int(json, "autoDeleteInterval", sheet->auto_delete);
}

static void put_members(struct httpd_request *request, struct json *json, const struct place *box,
                        const struct sbx_info *info, const char *state)
{
    const struct sheet *sheet = &box->sheet;
    char url[512];
    toolbox_url(request, url, sizeof(url));
    json_put_text(json, "id", sheet->id);
    json_put_text(json, "organizationId", sheet->owner);
    json_put_text(json, "name", sheet->name);
    json_put_text(json, "snapshot", sheet->image);
    json_put_text(json, "user", info->user ? info->user : "user");
    json_key(json, "env");
    pairlist_write(&sheet->env, json);
    json_key(json, "labels");
    pairlist_write(&sheet->labels, json);
    json_put_bool(json, "public", sheet->open);
    json_put_bool(json, "networkBlockAll", !sheet->internet);
    for (size_t i = 0; i < sheet->lists.count; i++)
        json_put_text(json, sheet->lists.items[i].name, sheet->lists.items[i].value);
    json_put_bool(json, "kvm", false);
    json_put_text(json, "target", "local");
    put_resources(json, info);
    json_put_text(json, "state", state);
    json_put_text(json, "desiredState", state);
    json_put_text(json, "backupState", "None");
    put_intervals(json, sheet);
    daytona_put_time(json, "createdAt", sheet->created_ms);
    daytona_put_time(json, "updatedAt", sheet->used_ms);
    daytona_put_time(json, "lastActivityAt", sheet->used_ms);
    json_put_text(json, "sandboxClass", "container");
    json_put_text(json, "daemonVersion", SBX_VERSION);
    json_put_text(json, "runnerId", "local");
    json_put_text(json, "toolboxProxyUrl", url);
    json_put_bool(json, "runsPrograms", true); // for our own client: toolbox_program.c
}

bool daytona_put_sandbox(struct httpd_request *request, struct json *json, struct place *box,
                         const char *state)
{
    struct sbx_info info = SBX_INFO_INIT;
    struct sbx_error err;
    if (!state && place_info(box, &info, &err) < 0)
        return false;
    pthread_mutex_lock(&box->lock);
    json_begin_object(json);
    put_members(request, json, box, &info, state ? state : daytona_state_of(&box->sheet));
    json_end_object(json);
    pthread_mutex_unlock(&box->lock);
    return true;
}

void daytona_reply_sandbox(struct httpd_request *request, unsigned status, struct place *box,
                           const char *state)
{
    cleanup_buf struct buf buf = BUF_INIT(DAYTONA_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (daytona_put_sandbox(request, &json, box, state))
        httpd_reply_json(request, status, &buf);
    else
        httpd_fail(request, 404, "the sandbox was not found");
}

// --- One sandbox

bool daytona_find(struct httpd_request *request, struct place **ret_box)
{
    struct serve *serve = serve_of(request);
    const char *id = httpd_param(request, "id"), *user = httpd_user(request);
    struct sbx_error err;
    struct place *box = NULL;
    if (place_get(serve, id, &box, &err) < 0)
        box = place_by_name(serve, user, id);
    if (box && strcmp(box->sheet.owner, user) == 0 && box->sheet.api == API_DAYTONA) {
        *ret_box = box;
        return true;
    }
    if (box)
        place_unref(box);
    char text[512];
    snprintf(text, sizeof(text), "Sandbox with ID or name %.64s not found%s%s", id,
             strstr(err.message, ": ") ? ": " : "",
             strstr(err.message, ": ") ? strstr(err.message, ": ") + 2 : "");
    httpd_fail(request, 404, text);
    return false;
}

void daytona_fail(struct httpd_request *request, const struct sbx_error *err)
{
    if (err->code == SBX_ERR_UNAVAILABLE)
        httpd_fail(request, 404, err->message);
    else
        serve_fail(request, err);
}

static void show(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    if (daytona_find(request, &box))
        daytona_reply_sandbox(request, 200, box, NULL);
}

static void destroy(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    if (place_destroy(box, "it was deleted by request", &err) < 0)
        serve_fail(request, &err);
    else
        daytona_reply_sandbox(request, 200, box, "destroying");
}

static bool is_stopped(struct place *box)
{
    pthread_mutex_lock(&box->lock);
    bool stopped = box->sheet.state != SHEET_AS_IS;
    pthread_mutex_unlock(&box->lock);
    return stopped;
}

static bool is_paused(struct place *box)
{
    pthread_mutex_lock(&box->lock);
    bool paused = box->sheet.paused_ms != 0;
    pthread_mutex_unlock(&box->lock);
    return paused;
}

static int set_state(struct place *box, enum sheet_state state, struct sbx_error *err)
{
    pthread_mutex_lock(&box->lock);
    box->sheet.state = state;
    box->sheet.used_ms = clock_unix_ms();
    pthread_mutex_unlock(&box->lock);
    return place_save(box, err);
}

static void start_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    if ((is_stopped(box) || is_paused(box)) &&
        (place_resume(box, &err) < 0 || set_state(box, SHEET_AS_IS, &err) < 0))
        serve_fail(request, &err);
    else
        daytona_reply_sandbox(request, 200, box, NULL);
}

static void stop_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    if (is_stopped(box)) {
        httpd_fail(request, 400, "Sandbox is not in a stoppable state");
        return;
    }
    if (session_stop_box(box, &err) < 0)
        serve_fail(request, &err);
    else if (box->sheet.auto_delete == 0 &&
             place_destroy(box, "it was deleted, as asked, when it stopped", &err) == 0)
        daytona_reply_sandbox(request, 200, box, "destroying");
    else
        daytona_reply_sandbox(request, 200, box, NULL);
}

// Processes stay, and stand still; start lets them go on.
static void pause_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    if (is_stopped(box) || is_paused(box))
        httpd_fail(request, 400, "Sandbox is not in a pausable state");
    else if (place_pause(box, &err) < 0)
        serve_fail(request, &err);
    else
        daytona_reply_sandbox(request, 200, box, NULL);
}

static void archive_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    if (!is_stopped(box))
        httpd_fail(request, 400, "Sandbox is not stopped");
    else if (set_state(box, SHEET_ARCHIVED, &err) < 0)
        serve_fail(request, &err);
    else
        daytona_reply_sandbox(request, 200, box, NULL);
}

static void set_labels(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_jsonv struct jsonv *body = NULL;
    struct pairlist labels = {0};
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    if (serve_body(request, &body, &err) < 0 ||
        pairlist_read(&labels, jsonv_get(body, "labels"), "labels", &err) < 0) {
        pairlist_deinit(&labels);
        serve_fail(request, &err);
        return;
    }
    pthread_mutex_lock(&box->lock);
    pairlist_deinit(&box->sheet.labels);
    box->sheet.labels = labels;
    pthread_mutex_unlock(&box->lock);
    if (place_save(box, &err) < 0)
        serve_fail(request, &err);
    else
        daytona_reply_sandbox(request, 200, box, NULL);
}

// A number of the path into the member that the row names.
static void set_number(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    const size_t *offset = httpd_route_data(request);
    const char *text = httpd_param(request, "n");
    char *end;
    int64_t value = strcmp(text, "true") == 0    ? 1
                    : strcmp(text, "false") == 0 ? 0
                                                 : strtoll(text, &end, 10);
    if (!daytona_find(request, &box))
        return;
    if (value < 0 && *offset != offsetof(struct sheet, auto_delete)) {
        httpd_fail(request, 400, "Auto-stop interval must be non-negative");
        return;
    }
    pthread_mutex_lock(&box->lock);
    *(int64_t *)(void *)((char *)&box->sheet + *offset) = value;
    pthread_mutex_unlock(&box->lock);
    if (place_save(box, &err) < 0)
        serve_fail(request, &err);
    else
        daytona_reply_sandbox(request, 201, box, NULL);
}

static void touch(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    if (!daytona_find(request, &box))
        return;
    place_touch(box);
    httpd_reply(request, 201, NULL, NULL, 0);
}

static void reply_text_member(struct httpd_request *request, const char *key, const char *value)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_text(&json, key, value);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void show_toolbox(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    char url[512];
    if (!daytona_find(request, &box))
        return;
    toolbox_url(request, url, sizeof(url));
    reply_text_member(request, "url", url);
}

// --- The rest

static void config(struct httpd_request *request)
{
    char url[512];
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    toolbox_url(request, url, sizeof(url));
    json_begin_object(&json);
    json_put_text(&json, "version", SBX_VERSION);
    json_put_text(&json, "proxyToolboxUrl", url);
    json_put_text(&json, "proxyTemplateUrl", url);
    json_put_text(&json, "defaultSnapshot", "base");
    json_put_text(&json, "dashboardUrl", url);
    json_put_text(&json, "environment", "local");
    json_put_bool(&json, "linkedAccountsEnabled", false);
    json_put_bool(&json, "maintananceMode", false); // as clients spell it
    json_key(&json, "oidc");
    json_begin_object(&json);
    json_put_text(&json, "issuer", "");
    json_put_text(&json, "clientId", "");
    json_put_text(&json, "audience", "");
    json_put_text(&json, "provider", "");
    json_end_object(&json);
    json_key(&json, "announcements");
    json_begin_object(&json);
    json_end_object(&json);
    json_put_int(&json, "maxAutoArchiveInterval", 43200);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void health(struct httpd_request *request)
{
    reply_text_member(request, "status", "ok");
}

static const size_t stop_at = offsetof(struct sheet, auto_stop);
static const size_t archive_at = offsetof(struct sheet, auto_archive);
static const size_t pause_at = offsetof(struct sheet, idle_pause);
static const size_t delete_at = offsetof(struct sheet, auto_delete);
static const size_t open_at = offsetof(struct sheet, open);

#define ROW(verb, path, function)                                                                  \
    {                                                                                              \
        .method = verb, .pattern = path, .handler = function                                       \
    }
#define NUMBER(path, where)                                                                        \
    {                                                                                              \
        .method = "POST", .pattern = path, .handler = set_number, .data = where                    \
    }
#define REFUSED SERVE_REFUSED
#define NO_SSH "ssh is not served: open a terminal, or a session"
#define NO_SECRETS "secrets are not served: give variables to the sandbox or the command"
#define NO_VOLUMES "volumes are not served: a snapshot keeps files for other sandboxes"
#define NO_POOLS "pools are the server's own: 'sandboxes serve --warm N'"
#define NO_BUILDS "images are not built here: start 'sandboxes serve' with --template NAME=IMAGE"
static const struct httpd_route routes[] = {
    ROW("POST", "/api/sandbox", daytona_create),
    ROW("GET", "/api/sandbox", daytona_list),
    ROW("GET", "/api/sandbox/{id}", show),
    ROW("DELETE", "/api/sandbox/{id}", destroy),
    ROW("POST", "/api/sandbox/{id}/start", start_one),
    ROW("POST", "/api/sandbox/{id}/stop", stop_one),
    ROW("POST", "/api/sandbox/{id}/archive", archive_one),
    ROW("PUT", "/api/sandbox/{id}/labels", set_labels),
    NUMBER("/api/sandbox/{id}/autostop/{n}", &stop_at),
    NUMBER("/api/sandbox/{id}/autoarchive/{n}", &archive_at),
    NUMBER("/api/sandbox/{id}/autodelete/{n}", &delete_at),
    NUMBER("/api/sandbox/{id}/autopause/{n}", &pause_at),
    NUMBER("/api/sandbox/{id}/public/{n}", &open_at),
    ROW("POST", "/api/sandbox/{id}/last-activity", touch),
    ROW("GET", "/api/sandbox/{id}/toolbox-proxy-url", show_toolbox),
    ROW("GET", "/api/sandbox/{id}/ports/{port}/preview-url", daytona_preview),
    ROW("GET", "/api/sandbox/{id}/ports/{port}/signed-preview-url", daytona_preview_sign),
    ROW("POST", "/api/sandbox/{id}/ports/{port}/signed-preview-url/{token}/expire",
        daytona_preview_expire),
    ROW("POST", "/api/sandbox/{id}/pause", pause_one),
    ROW("POST", "/api/sandbox/{id}/fork", daytona_fork),
    ROW("POST", "/api/sandbox/{id}/snapshot", daytona_snapshot),
    ROW("GET", "/api/sandbox/{id}/telemetry/metrics", daytona_metrics),
    ROW("POST", "/api/sandbox/{id}/ttl/{n}", daytona_set_ttl),
    ROW("POST", "/api/sandbox/{id}/recover", daytona_recover),
    ROW("GET", "/api/sandbox/{id}/signing-key", daytona_show_key),
    ROW("POST", "/api/sandbox/{id}/signing-key/rotate", daytona_rotate_key),
    ROW("POST", "/api/sandbox/{id}/network-settings", daytona_set_network),
    REFUSED("POST", "/api/sandbox/{id}/resize", "resources are fixed when a sandbox is made"),
    REFUSED("POST", "/api/sandbox/{id}/backup", "backups are not served: take a snapshot"),
    REFUSED("*", "/api/sandbox/{id}/ssh-access", NO_SSH),
    REFUSED("GET", "/api/sandbox/ssh-access/validate", NO_SSH),
    REFUSED("*", "/api/sandbox/{id}/secrets", NO_SECRETS),
    ROW("GET", "/api/snapshots", daytona_snapshots),
    ROW("POST", "/api/snapshots", daytona_snapshot_create),
    ROW("POST", "/api/snapshots/{id}/activate", daytona_snapshot_activate),
    ROW("GET", "/api/snapshots/{id}", daytona_snapshot_show),
    ROW("DELETE", "/api/snapshots/{id}", daytona_snapshot_delete),
    ROW("GET", "/api/regions", daytona_regions),
    ROW("GET", "/api/shared-regions", daytona_regions),
    REFUSED("POST", "/api/regions", "there is this machine alone"),
    REFUSED("*", "/api/regions/*", "there is this machine alone"),
    REFUSED("*", "/api/volumes", NO_VOLUMES),
    REFUSED("*", "/api/volumes/*", NO_VOLUMES),
    REFUSED("*", "/api/secret", NO_SECRETS),
    REFUSED("*", "/api/secret/*", NO_SECRETS),
    REFUSED("*", "/api/warm-pools", NO_POOLS),
    REFUSED("*", "/api/warm-pools/*", NO_POOLS),
    REFUSED("*", "/api/object-storage/*", NO_BUILDS),
};
const struct httpd_site daytona_api_site = {routes, ARRAY_SIZE(routes), auth_daytona, fail};

static const struct httpd_route open_routes[] = {
    ROW("GET", "/api/config", config),
    ROW("GET", "/api/health", health),
};
const struct httpd_site daytona_open_site = {open_routes, ARRAY_SIZE(open_routes), NULL, fail};
