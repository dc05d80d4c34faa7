// SPDX-License-Identifier: Apache-2.0
// Daytona's control plane: sandboxes as the Daytona clients know them. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "serve/auth.h"
#include "serve/paging.h"
#include "serve/session.h"
#include "serve/sites.h"

#define REPLY_MAX (16 * 1024 * 1024)
#define CREATE_MS 60000
#define GIB ((uint64_t)1024 * 1024 * 1024)
#define LIMIT_DEFAULT 100
#define LIMIT_MAX 200
#define AUTO_STOP_DEFAULT 15
#define AUTO_ARCHIVE_DEFAULT 10080

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

static void put_time(struct json *json, const char *key, int64_t unix_ms)
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
    put_time(&json, "timestamp", clock_unix_ms());
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

static const char *state_of(const struct sheet *sheet)
{
    return sheet->state == SHEET_ARCHIVED  ? "archived"
           : sheet->state == SHEET_STOPPED ? "stopped"
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
    json_put_bool(json, "kvm", false);
    json_put_text(json, "target", "local");
    put_resources(json, info);
    json_put_text(json, "state", state);
    json_put_text(json, "desiredState", state);
    json_put_text(json, "backupState", "None");
    put_intervals(json, sheet);
    put_time(json, "createdAt", sheet->created_ms);
    put_time(json, "updatedAt", sheet->used_ms);
    put_time(json, "lastActivityAt", sheet->used_ms);
    json_put_text(json, "sandboxClass", "container");
    json_put_text(json, "daemonVersion", SBX_VERSION);
    json_put_text(json, "runnerId", "local");
    json_put_text(json, "toolboxProxyUrl", url);
}

// state NULL: as it is.
static bool put_sandbox(struct httpd_request *request, struct json *json, struct place *box,
                        const char *state)
{
    struct sbx_info info = SBX_INFO_INIT;
    struct sbx_error err;
    if (!state && place_info(box, &info, &err) < 0)
        return false;
    pthread_mutex_lock(&box->lock);
    json_begin_object(json);
    put_members(request, json, box, &info, state ? state : state_of(&box->sheet));
    json_end_object(json);
    pthread_mutex_unlock(&box->lock);
    return true;
}

static void reply_sandbox(struct httpd_request *request, unsigned status, struct place *box,
                          const char *state)
{
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (put_sandbox(request, &json, box, state))
        httpd_reply_json(request, status, &buf);
    else
        httpd_fail(request, 404, "the sandbox was not found");
}

// --- Create

struct wish {
    struct pairlist labels, env;
    struct place_wish box;
    struct sbx_spec more;
    char from[256]; // image of a build that is nothing but FROM
    char *list;     // the allow list, cut into pieces; owned
    const char *allow[64];
};

static void wish_deinit(struct wish *wish)
{
    pairlist_deinit(&wish->labels);
    pairlist_deinit(&wish->env);
    free(wish->list);
}

static int read_network(const struct jsonv *body, struct wish *wish, struct sbx_error *err)
{
    const char *ranges = jsonv_text(body, "networkAllowList");
    const char *names = jsonv_text(body, "domainAllowList");
    wish->box.internet = !jsonv_bool(body, "networkBlockAll", false);
    wish->more.network = wish->box.internet ? SBX_NETWORK_DEFAULT : SBX_NETWORK_NONE;
    if (!ranges && !names)
        return 0;
    if (asprintf(&wish->list, "%s,%s", ranges ? ranges : "", names ? names : "") < 0) {
        wish->list = NULL;
        return err_nomem(err);
    }
    char *rest = wish->list;
    for (char *item; (item = strsep(&rest, ", "));) {
        if (!item[0])
            continue;
        if (wish->more.allow_count == ARRAY_SIZE(wish->allow))
            return err_set(err, SBX_ERR_INVALID, "more than %zu names to allow",
                           ARRAY_SIZE(wish->allow));
        wish->allow[wish->more.allow_count++] = item;
    }
    wish->more.allow = wish->allow;
    wish->more.network = SBX_NETWORK_ALLOW;
    return 0;
}

static int read_resources(const struct jsonv *body, struct wish *wish, struct sbx_error *err)
{
    int64_t cpu = jsonv_int(body, "cpu", 0), memory = jsonv_int(body, "memory", 0);
    int64_t disk = jsonv_int(body, "disk", 0);
    if (cpu < 0 || cpu > 1024 || memory < 0 || memory > 65536 || disk < 0 || disk > 65536)
        return err_set(err, SBX_ERR_INVALID, "cpu, memory and disk are whole numbers");
    if (jsonv_int(body, "gpu", 0) > 0)
        return err_set(err, SBX_ERR_INVALID, "there are no GPUs here");
    wish->more.cpu_millis = (uint32_t)cpu * 1000;
    wish->more.memory_bytes = (uint64_t)memory * GIB;
    wish->more.disk_bytes = (uint64_t)disk * GIB;
    return 0;
}

// A build of nothing but "FROM x" is that image.
static const char *image_name(const struct jsonv *body, struct wish *wish)
{
    const char *snapshot = jsonv_text(body, "snapshot");
    const char *file = jsonv_text(jsonv_get(body, "buildInfo"), "dockerfileContent");
    int used = 0;
    if (file && sscanf(file, "FROM %255s %n", wish->from, &used) == 1 && !file[used])
        return wish->from;
    return file ? "" : snapshot ? snapshot : "base";
}

static int read_intervals(const struct jsonv *body, struct wish *wish, struct sbx_error *err)
{
    wish->box.auto_stop = jsonv_int(body, "autoStopInterval", AUTO_STOP_DEFAULT);
    wish->box.auto_archive = jsonv_int(body, "autoArchiveInterval", AUTO_ARCHIVE_DEFAULT);
    wish->box.auto_delete = jsonv_int(body, "autoDeleteInterval", -1);
    int64_t ttl = jsonv_int(body, "ttlMinutes", 0);
    if (wish->box.auto_stop < 0 || wish->box.auto_archive < 0 || ttl < 0 || ttl > 1000000)
        return err_set(err, SBX_ERR_INVALID, "Auto-stop interval must be non-negative");
    wish->box.life_ms = ttl * 60000;
    return 0;
}

static int read_wish(struct httpd_request *request, const struct jsonv *body, struct wish *wish,
                     struct sbx_error *err)
{
    wish->more = (struct sbx_spec)SBX_SPEC_INIT;
    wish->box = (struct place_wish){.api = API_DAYTONA,
                                    .owner = httpd_user(request),
                                    .name = jsonv_text(body, "name"),
                                    .labels = &wish->labels,
                                    .env = &wish->env,
                                    .more = &wish->more,
                                    .secure = 1,
                                    .open = jsonv_bool(body, "public", false)};
    wish->box.image_name = image_name(body, wish);
    if (jsonv_count(jsonv_get(body, "volumes")) > 0)
        return err_set(err, SBX_ERR_INVALID, "volumes are not served here");
    int code = pairlist_read(&wish->labels, jsonv_get(body, "labels"), "labels", err);
    if (code == 0)
        code = pairlist_read(&wish->env, jsonv_get(body, "env"), "env", err);
    if (code == 0)
        code = read_network(body, wish, err);
    if (code == 0)
        code = read_resources(body, wish, err);
    return code < 0 ? code : read_intervals(body, wish, err);
}

static bool name_is_free(struct httpd_request *request, const char *name)
{
    struct place *other = name ? place_by_name(serve_of(request), httpd_user(request), name) : NULL;
    if (!other)
        return true;
    char text[512];
    snprintf(text, sizeof(text), "Sandbox with name %.200s already exists", name);
    place_unref(other);
    httpd_fail(request, 409, text);
    return false;
}

static void create(struct httpd_request *request)
{
    struct sbx_error err;
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup(wish_deinit) struct wish wish = {0};
    cleanup_place struct place *box = NULL;
    if (serve_body(request, &body, &err) < 0 || read_wish(request, body, &wish, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    if (!serve_image(serve_of(request), wish.box.image_name, &wish.box.image)) {
        char text[512];
        snprintf(text, sizeof(text),
                 "Snapshot %.200s not found. Did you start 'sandboxes serve' with --template?",
                 wish.box.image_name);
        httpd_fail(request, 400, text);
        return;
    }
    if (!name_is_free(request, wish.box.name))
        return;
    struct sbx_call call = serve_call(request, CREATE_MS);
    if (place_create(serve_of(request), &wish.box, &call, &box, &err) < 0)
        serve_fail(request, &err);
    else
        reply_sandbox(request, 200, box, NULL);
}

// --- One sandbox

static bool find(struct httpd_request *request, struct place **ret_box)
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

static void show(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    if (find(request, &box))
        reply_sandbox(request, 200, box, NULL);
}

static void destroy(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!find(request, &box))
        return;
    if (place_destroy(box, "it was deleted by request", &err) < 0)
        serve_fail(request, &err);
    else
        reply_sandbox(request, 200, box, "destroying");
}

static bool is_stopped(struct place *box)
{
    pthread_mutex_lock(&box->lock);
    bool stopped = box->sheet.state != SHEET_AS_IS;
    pthread_mutex_unlock(&box->lock);
    return stopped;
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
    if (!find(request, &box))
        return;
    if (is_stopped(box) && (place_resume(box, &err) < 0 || set_state(box, SHEET_AS_IS, &err) < 0))
        serve_fail(request, &err);
    else
        reply_sandbox(request, 200, box, NULL);
}

static void stop_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!find(request, &box))
        return;
    if (is_stopped(box)) {
        httpd_fail(request, 400, "Sandbox is not in a stoppable state");
        return;
    }
    if (session_stop_box(box, &err) < 0)
        serve_fail(request, &err);
    else if (box->sheet.auto_delete == 0 &&
             place_destroy(box, "it was deleted, as asked, when it stopped", &err) == 0)
        reply_sandbox(request, 200, box, "destroying");
    else
        reply_sandbox(request, 200, box, NULL);
}

static void archive_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!find(request, &box))
        return;
    if (!is_stopped(box))
        httpd_fail(request, 400, "Sandbox is not stopped");
    else if (set_state(box, SHEET_ARCHIVED, &err) < 0)
        serve_fail(request, &err);
    else
        reply_sandbox(request, 200, box, NULL);
}

static void set_labels(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_jsonv struct jsonv *body = NULL;
    struct pairlist labels = {0};
    struct sbx_error err;
    if (!find(request, &box))
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
        reply_sandbox(request, 200, box, NULL);
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
    if (!find(request, &box))
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
        reply_sandbox(request, 201, box, NULL);
}

static void touch(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    if (!find(request, &box))
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
    if (!find(request, &box))
        return;
    toolbox_url(request, url, sizeof(url));
    reply_text_member(request, "url", url);
}

// A port of the sandbox, made reachable on this machine.
static void preview(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    struct sbx_error err;
    char address[128], url[160], token[SHA256_HEX_SIZE];
    long number = strtol(httpd_param(request, "port"), NULL, 10);
    if (!find(request, &box))
        return;
    struct sbx_port port = {(uint16_t)number, 0};
    if (number < 1 || number > 65535) {
        httpd_fail(request, 400, "a port is a number from 1 to 65535");
        return;
    }
    if (sbx_sandbox_expose(box->sandbox, &port, NULL, address, sizeof(address), &err) < 0) {
        place_failed(box, &err);
        serve_fail(request, &err);
        return;
    }
    snprintf(url, sizeof(url), "%s%s", strstr(address, "://") ? "" : "http://", address);
    auth_token(serve_of(request), "preview", box->sheet.id, token);
    json_begin_object(&json);
    json_put_text(&json, "sandboxId", box->sheet.id);
    json_put_uint(&json, "port", port.port);
    json_put_text(&json, "url", url);
    json_put_text(&json, "token", token);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

// --- Lists

struct filter {
    struct pairlist labels;
    const char *name, *id, *cursor;
    int64_t limit;
    bool any_state;
    char states[512]; // " started stopped "
};

static void take_state(void *payload, const char *name, const char *value)
{
    struct filter *filter = payload;
    size_t used = strlen(filter->states);
    if (strcmp(name, "states") == 0) {
        filter->any_state = false;
        snprintf(filter->states + used, sizeof(filter->states) - used, " %s ", value);
    }
}

static int read_filter(struct httpd_request *request, struct filter *filter, struct sbx_error *err)
{
    const char *labels = httpd_query(request, "labels"), *limit = httpd_query(request, "limit");
    filter->any_state = true;
    httpd_each_query(request, take_state, filter);
    filter->name = httpd_query(request, "name");
    filter->id = httpd_query(request, "id");
    filter->cursor = httpd_query(request, "cursor");
    filter->limit = limit ? strtoll(limit, NULL, 10) : LIMIT_DEFAULT;
    if (filter->limit < 1 || filter->limit > LIMIT_MAX)
        return err_set(err, SBX_ERR_INVALID, "limit must not be greater than %d", LIMIT_MAX);
    cleanup_jsonv struct jsonv *root = NULL;
    struct sbx_error ignored;
    if (!labels)
        return 0;
    if (jsonv_parse(labels, strlen(labels), &root, &ignored) < 0 ||
        pairlist_read(&filter->labels, root, "labels", &ignored) < 0)
        return err_set(err, SBX_ERR_INVALID, "Invalid labels JSON format");
    return 0;
}

static bool passes(struct httpd_request *request, struct place *box, const struct filter *filter)
{
    const struct sheet *sheet = &box->sheet;
    char state[64];
    if (sheet->api != API_DAYTONA || strcmp(sheet->owner, httpd_user(request)) != 0)
        return false;
    pthread_mutex_lock(&box->lock);
    snprintf(state, sizeof(state), " %s ", state_of(sheet));
    bool fits = pairlist_has_all(&sheet->labels, &filter->labels) &&
                (!filter->id || strcmp(sheet->id, filter->id) == 0) &&
                (!filter->name || strncmp(sheet->name, filter->name, strlen(filter->name)) == 0) &&
                (filter->any_state || strstr(filter->states, state));
    pthread_mutex_unlock(&box->lock);
    return fits;
}

static void put_page(struct httpd_request *request, struct json *json, struct place **boxes,
                     size_t count, const struct filter *filter)
{
    char next[PAGING_TOKEN_SIZE] = "";
    int64_t shown = 0;
    const struct place *last = NULL;
    json_begin_object(json);
    json_key(json, "items");
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        if (!passes(request, boxes[i], filter) ||
            (filter->cursor && !paging_is_behind(boxes[i], filter->cursor, false)))
            continue;
        if (shown++ == filter->limit) {
            paging_token(last, next);
            break;
        }
        put_sandbox(request, json, boxes[i], NULL);
        last = boxes[i];
    }
    json_end_array(json);
    json_put_text(json, "nextCursor", next[0] ? next : NULL);
    json_end_object(json);
}

static void list(struct httpd_request *request)
{
    struct sbx_error err;
    struct filter filter = {0};
    struct place **boxes = NULL;
    size_t count = 0;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    int code = read_filter(request, &filter, &err);
    if (code == 0)
        code = places_all(serve_of(request), &boxes, &count, &err);
    if (code < 0) {
        serve_fail(request, &err);
    } else {
        paging_sort(boxes, count, false);
        put_page(request, &json, boxes, count, &filter);
        httpd_reply_json(request, 200, &buf);
    }
    places_free(boxes, count);
    pairlist_deinit(&filter.labels);
}

// --- The rest

static void put_snapshot(struct json *json, const char *name)
{
    json_begin_object(json);
    json_put_text(json, "id", name);
    json_put_text(json, "name", name);
    json_put_text(json, "imageName", name);
    json_put_bool(json, "general", true);
    json_put_text(json, "state", "active");
    json_put_int(json, "cpu", 1);
    json_put_int(json, "gpu", 0);
    json_put_int(json, "mem", 1);
    json_put_int(json, "disk", 1);
    json_put_int(json, "size", 0);
    json_key(json, "entrypoint");
    json_begin_array(json);
    json_end_array(json);
    json_put_text(json, "errorReason", NULL);
    put_time(json, "createdAt", 0);
    put_time(json, "updatedAt", 0);
    json_put_text(json, "lastUsedAt", NULL);
    json_end_object(json);
}

static void snapshots(struct httpd_request *request)
{
    const struct serve_settings *settings = &serve_of(request)->settings;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_key(&json, "items");
    json_begin_array(&json);
    for (size_t i = 0; i < settings->template_count; i++)
        put_snapshot(&json, settings->templates[i].name);
    json_end_array(&json);
    json_put_uint(&json, "total", settings->template_count);
    json_put_uint(&json, "page", 1);
    json_put_uint(&json, "totalPages", 1);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void config(struct httpd_request *request)
{
    char url[512];
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    toolbox_url(request, url, sizeof(url));
    json_begin_object(&json);
    json_put_text(&json, "version", SBX_VERSION);
    json_put_text(&json, "proxyToolboxUrl", url);
    json_put_text(&json, "defaultSnapshot", "base");
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
static const struct httpd_route routes[] = {
    ROW("POST", "/api/sandbox", create),
    ROW("GET", "/api/sandbox", list),
    ROW("GET", "/api/sandbox/{id}", show),
    ROW("DELETE", "/api/sandbox/{id}", destroy),
    ROW("POST", "/api/sandbox/{id}/start", start_one),
    ROW("POST", "/api/sandbox/{id}/stop", stop_one),
    ROW("POST", "/api/sandbox/{id}/archive", archive_one),
    ROW("PUT", "/api/sandbox/{id}/labels", set_labels),
    NUMBER("/api/sandbox/{id}/autostop/{n}", &stop_at),
    NUMBER("/api/sandbox/{id}/autoarchive/{n}", &archive_at),
    NUMBER("/api/sandbox/{id}/autodelete/{n}", &delete_at),
    NUMBER("/api/sandbox/{id}/public/{n}", &open_at),
    ROW("POST", "/api/sandbox/{id}/last-activity", touch),
    ROW("GET", "/api/sandbox/{id}/toolbox-proxy-url", show_toolbox),
    ROW("GET", "/api/sandbox/{id}/ports/{port}/preview-url", preview),
    ROW("GET", "/api/snapshots", snapshots),
};
const struct httpd_site daytona_api_site = {routes, ARRAY_SIZE(routes), auth_daytona, fail};

static const struct httpd_route open_routes[] = {
    ROW("GET", "/api/config", config),
    ROW("GET", "/api/health", health),
};
const struct httpd_site daytona_open_site = {open_routes, ARRAY_SIZE(open_routes), NULL, fail};
