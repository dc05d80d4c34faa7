// SPDX-License-Identifier: Apache-2.0
// E2B's control plane: sandboxes as the E2B clients know them. Layer: serve.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "serve/auth.h"
#include "serve/paging.h"
#include "serve/sites.h"

#define REPLY_MAX (16 * 1024 * 1024)
#define CLIENT_ID "6532622b" // a constant of the protocol
#define DEFAULT_LIFE_OLD_S 15
#define DEFAULT_LIFE_S 300
#define CREATE_MS 60000
#define LIMIT_MAX 100

static void fail(struct httpd_request *request, unsigned status, const char *message)
{
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_uint(&json, "code", status);
    json_put_text(&json, "message", message);
    json_end_object(&json);
    httpd_reply(request, status, "application/json", buf.data, buf.size);
}

// --- What a sandbox looks like

static void put_time(struct json *json, const char *key, int64_t unix_ms)
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
    }
    json_put_text(json, "domain", box->serve->settings.domain);
}

static void reply_sandbox(struct httpd_request *request, unsigned status, const struct place *box)
{
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    put_common(&json, box);
    put_access(&json, box);
    json_end_object(&json);
    httpd_reply_json(request, status, &buf);
}

#define MIB (1024 * 1024)

static void put_details(struct json *json, struct place *box, const struct sbx_info *info)
{
    const struct sheet *sheet = &box->sheet;
    int64_t end = sheet->paused_ms ? sheet->paused_ms : sheet->end_ms;
    put_common(json, box);
    put_time(json, "startedAt", sheet->created_ms);
    // Clients want an end; one far away stands for none.
    put_time(json, "endAt", end ? end : sheet->created_ms + (int64_t)10 * 365 * 86400 * 1000);
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

static void put_one(struct json *json, struct place *box, bool access)
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

// --- Create

struct wish {
    struct pairlist labels, env;
    struct place_wish box;
    struct sbx_spec more;
    const char *allow[64];
};

static void wish_deinit(struct wish *wish)
{
    pairlist_deinit(&wish->labels);
    pairlist_deinit(&wish->env);
}

static int read_allow(const struct jsonv *list, struct wish *wish, struct sbx_error *err)
{
    for (size_t i = 0; i < jsonv_count(list); i++) {
        const char *item = jsonv_as_text(jsonv_at(list, i));
        if (!item || i == ARRAY_SIZE(wish->allow))
            return err_set(err, SBX_ERR_INVALID, "network.allowOut has up to %zu texts",
                           ARRAY_SIZE(wish->allow));
        wish->allow[i] = item;
        wish->more.allow_count = i + 1;
    }
    wish->more.allow = wish->allow;
    wish->more.network = SBX_NETWORK_ALLOW;
    return 0;
}

static bool denies_all(const struct jsonv *list)
{
    for (size_t i = 0; i < jsonv_count(list); i++) {
        const char *item = jsonv_as_text(jsonv_at(list, i));
        if (item && strcmp(item, "0.0.0.0/0") == 0)
            return true;
    }
    return false;
}

static int read_network(const struct jsonv *body, struct wish *wish, struct sbx_error *err)
{
    const struct jsonv *network = jsonv_get(body, "network");
    const struct jsonv *allow = jsonv_get(network, "allowOut"),
                       *deny = jsonv_get(network, "denyOut");
    wish->box.internet = jsonv_bool(body, "allow_internet_access", true);
    wish->more.network = wish->box.internet ? SBX_NETWORK_DEFAULT : SBX_NETWORK_NONE;
    if (jsonv_count(allow) > 0)
        return read_allow(allow, wish, err);
    if (denies_all(deny))
        wish->more.network = SBX_NETWORK_NONE;
    else if (jsonv_count(deny) > 0)
        return err_set(err, SBX_ERR_INVALID,
                       "network.denyOut can only deny all (0.0.0.0/0) here, "
                       "with exceptions in network.allowOut");
    return 0;
}

static int read_life(struct httpd_request *request, const struct jsonv *body, int64_t fallback_s,
                     int64_t *ret_ms, struct sbx_error *err)
{
    int64_t most_s = serve_of(request)->settings.max_life_ms / 1000;
    int64_t seconds = jsonv_int(body, "timeout", fallback_s);
    if (seconds <= 0)
        return err_set(err, SBX_ERR_INVALID, "Timeout must be greater than 0");
    if (seconds > most_s)
        return err_set(err, SBX_ERR_INVALID, "Timeout cannot be greater than %" PRId64 " hours",
                       most_s / 3600);
    *ret_ms = seconds * 1000;
    return 0;
}

static int read_wish(struct httpd_request *request, const struct jsonv *body, struct wish *wish,
                     struct sbx_error *err)
{
    bool old = strncmp(httpd_path(request), "/v2", 3) != 0;
    wish->more = (struct sbx_spec)SBX_SPEC_INIT;
    wish->box = (struct place_wish){.api = API_E2B,
                                    .owner = httpd_user(request),
                                    .image_name = jsonv_text(body, "templateID"),
                                    .labels = &wish->labels,
                                    .env = &wish->env,
                                    .more = &wish->more,
                                    .secure = old ? jsonv_bool(body, "secure", false) : true};
    wish->box.auto_pause = jsonv_bool(body, "autoPause", false);
    wish->box.auto_resume = jsonv_bool(jsonv_get(body, "autoResume"), "enabled", false);
    if (!wish->box.image_name)
        return err_set(err, SBX_ERR_INVALID, "validation error: templateID is missing");
    if (jsonv_count(jsonv_get(body, "volumeMounts")) > 0)
        return err_set(err, SBX_ERR_INVALID, "volumes are not served here");
    int code = pairlist_read(&wish->labels, jsonv_get(body, "metadata"), "metadata", err);
    if (code == 0)
        code = pairlist_read(&wish->env, jsonv_get(body, "envVars"), "envVars", err);
    if (code == 0)
        code = read_network(body, wish, err);
    return code < 0 ? code
                    : read_life(request, body, old ? DEFAULT_LIFE_OLD_S : DEFAULT_LIFE_S,
                                &wish->box.life_ms, err);
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
        snprintf(text, sizeof(text), "template '%.200s' not found", wish.box.image_name);
        httpd_fail(request, 404, text);
        return;
    }
    struct sbx_call call = serve_call(request, CREATE_MS);
    if (place_create(serve_of(request), &wish.box, &call, &box, &err) < 0)
        serve_fail(request, &err);
    else
        reply_sandbox(request, 201, box);
}

// --- One sandbox

// why: what place_get() said, or NULL.
static void fail_missing(struct httpd_request *request, const char *id, const char *why)
{
    char text[512];
    const char *reason = why ? strstr(why, ": ") : NULL;
    snprintf(text, sizeof(text), "Sandbox \"%.64s\" doesn't exist or you don't have access to it%s",
             id, reason ? reason : "");
    httpd_fail(request, 404, text);
}

static bool find(struct httpd_request *request, struct place **ret_box)
{
    struct sbx_error err;
    const char *id = httpd_param(request, "id");
    if (place_get(serve_of(request), id, ret_box, &err) == 0) {
        if (strcmp((*ret_box)->sheet.owner, httpd_user(request)) == 0 &&
            (*ret_box)->sheet.api == API_E2B)
            return true;
        place_unref(*ret_box);
        *ret_box = NULL;
        fail_missing(request, id, NULL);
        return false;
    }
    fail_missing(request, id, err.message);
    return false;
}

static void fail_of(struct httpd_request *request, const struct place *box,
                    const struct sbx_error *err)
{
    if (err->code == SBX_ERR_NOT_FOUND || err->code == SBX_ERR_UNAVAILABLE)
        fail_missing(request, box->sheet.id, err->message);
    else
        serve_fail(request, err);
}

static void show(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!find(request, &box))
        return;
    put_one(&json, box, true);
    if (buf.size == 0)
        fail_missing(request, box->sheet.id, NULL);
    else
        httpd_reply_json(request, 200, &buf);
}

static void kill_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    struct sbx_error err;
    if (!find(request, &box))
        return;
    if (place_destroy(box, "it was killed by request", &err) < 0)
        fail_of(request, box, &err);
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
    if (!find(request, &box))
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
        fail_missing(request, box->sheet.id, NULL);
    // What is beyond the limit gets what the limit allows.
    else if (place_set_life(box, seconds == 0 ? 1 : (seconds > most ? most : seconds) * 1000,
                            &err) < 0)
        fail_of(request, box, &err);
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
    if (!find(request, &box))
        return;
    if (is_paused(box)) {
        char text[256];
        snprintf(text, sizeof(text), "Error pausing sandbox - sandbox '%s' is already paused",
                 box->sheet.id);
        httpd_fail(request, 409, text);
    } else if (place_pause(box, &err) < 0) {
        fail_of(request, box, &err);
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
    if (!find(request, &box))
        return;
    if (serve_body(request, &body, &err) < 0 ||
        read_life(request, body, DEFAULT_LIFE_S, &life_ms, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    bool paused = is_paused(box);
    struct sbx_info info;
    int code = paused ? place_resume(box, &err) : place_info(box, &info, &err);
    if (code == 0)
        code = paused ? place_set_life(box, life_ms, &err) : lengthen(box, life_ms, &err);
    if (code < 0)
        fail_of(request, box, &err);
    else
        reply_sandbox(request, paused ? 201 : 200, box);
}

static void resume_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    if (!find(request, &box))
        return;
    if (is_paused(box)) {
        connect_one(request);
        return;
    }
    char text[256];
    snprintf(text, sizeof(text), "Sandbox %s is already running", box->sheet.id);
    httpd_fail(request, 409, text);
}

// --- Lists

struct filter {
    struct pairlist metadata;
    bool running, paused;
    int64_t limit;
    const char *after; // token of the page before
    const char *image;
    bool oldest_first;
};

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

static void unquote(char *text)
{
    char *out = text;
    for (; *text; text++) {
        if (*text == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
            *out++ = (char)(hex(text[1]) << 4 | hex(text[2]));
            text += 2;
        } else {
            *out++ = (char)(*text == '+' ? ' ' : *text);
        }
    }
    *out = '\0';
}

// "k=v&k2=v2", quoted twice more than the query that holds it.
static int read_metadata(const char *text, struct pairlist *list, struct sbx_error *err)
{
    cleanup_free char *copy = strdup(text);
    char *rest = copy;
    if (!copy)
        return err_nomem(err);
    for (char *pair; (pair = strsep(&rest, "&"));) {
        char *value = strchr(pair, '=');
        if (!pair[0])
            continue;
        if (!value)
            return err_set(err, SBX_ERR_INVALID, "metadata must be pairs NAME=VALUE");
        *value++ = '\0';
        for (int times = 0; times < 2; times++) {
            unquote(pair);
            unquote(value);
        }
        int code = pairlist_add(list, pair, value, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static void take_state(void *payload, const char *name, const char *value)
{
    struct filter *filter = payload;
    if (strcmp(name, "state") != 0)
        return;
    filter->running |= strstr(value, "running") != NULL;
    filter->paused |= strstr(value, "paused") != NULL;
}

static int read_filter(struct httpd_request *request, struct filter *filter, struct sbx_error *err)
{
    const char *limit = httpd_query(request, "limit"), *metadata = httpd_query(request, "metadata");
    const char *state = httpd_query(request, "state");
    httpd_each_query(request, take_state, filter);
    if (!state)
        filter->running = filter->paused = true;
    else if (!filter->running && !filter->paused)
        return err_set(err, SBX_ERR_INVALID, "validation error: unknown state");
    filter->limit = limit ? strtoll(limit, NULL, 10) : LIMIT_MAX;
    if (filter->limit < 1 || filter->limit > LIMIT_MAX)
        return err_set(err, SBX_ERR_INVALID, "validation error: limit must be 1 to %d", LIMIT_MAX);
    filter->after = httpd_query(request, "nextToken");
    filter->image = httpd_query(request, "template");
    const char *order = httpd_query(request, "order");
    filter->oldest_first = order && strcmp(order, "asc") == 0;
    return metadata ? read_metadata(metadata, &filter->metadata, err) : 0;
}

static bool passes(struct httpd_request *request, struct place *box, const struct filter *filter)
{
    if (box->sheet.api != API_E2B || strcmp(box->sheet.owner, httpd_user(request)) != 0)
        return false;
    pthread_mutex_lock(&box->lock);
    bool passes = (box->sheet.paused_ms ? filter->paused : filter->running) &&
                  (!filter->image || strcmp(filter->image, box->sheet.image) == 0) &&
                  pairlist_has_all(&box->sheet.labels, &filter->metadata);
    pthread_mutex_unlock(&box->lock);
    return passes;
}

static void put_page(struct httpd_request *request, struct json *json, struct place **boxes,
                     size_t count, const struct filter *filter)
{
    int64_t shown = 0;
    const struct place *last = NULL;
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        if (!passes(request, boxes[i], filter) ||
            (filter->after && !paging_is_behind(boxes[i], filter->after, filter->oldest_first)))
            continue;
        if (shown++ == filter->limit) {
            char token[PAGING_TOKEN_SIZE];
            paging_token(last, token);
            httpd_add_header(request, "X-Next-Token", token);
            break;
        }
        put_one(json, boxes[i], false);
        last = boxes[i];
    }
    json_end_array(json);
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
        paging_sort(boxes, count, filter.oldest_first);
        put_page(request, &json, boxes, count, &filter);
        httpd_reply_json(request, 200, &buf);
    }
    places_free(boxes, count);
    pairlist_deinit(&filter.metadata);
}

// --- Metrics and the rest

static void put_metrics(struct json *json, const char *key, struct place *box)
{
    struct sbx_metrics metrics = SBX_METRICS_INIT;
    struct sbx_info info;
    struct sbx_error err;
    if (place_info(box, &info, &err) < 0 ||
        sbx_sandbox_metrics(box->sandbox, NULL, &metrics, &err) < 0)
        return;
    int64_t now = clock_unix_ms(), age = now - box->sheet.created_ms;
    if (key)
        json_key(json, key);
    json_begin_object(json);
    put_time(json, "timestamp", now);
    json_put_int(json, "timestampUnix", now / 1000);
    json_put_uint(json, "cpuCount", info.cpu_millis > 1000 ? info.cpu_millis / 1000 : 1);
    json_put_uint(json, "cpuUsedPct", age > 0 ? metrics.cpu_usec / 10 / (uint64_t)age : 0);
    json_put_uint(json, "memUsed", metrics.memory_bytes);
    json_put_uint(json, "memTotal", metrics.memory_limit_bytes);
    json_put_uint(json, "memCache", 0);
    json_put_uint(json, "diskUsed", metrics.disk_bytes);
    json_put_uint(json, "diskTotal", metrics.disk_limit_bytes);
    json_end_object(json);
}

static void metrics_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!find(request, &box))
        return;
    json_begin_array(&json);
    put_metrics(&json, NULL, box);
    json_end_array(&json);
    httpd_reply_json(request, 200, &buf);
}

static void metrics_many(struct httpd_request *request)
{
    const char *ids = httpd_query(request, "sandbox_ids");
    cleanup_free char *copy = strdup(ids ? ids : "");
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    char *rest = copy;
    json_begin_object(&json);
    json_key(&json, "sandboxes");
    json_begin_object(&json);
    for (char *id; copy && (id = strsep(&rest, ","));) {
        struct sbx_error err;
        cleanup_place struct place *box = NULL;
        if (place_get(serve_of(request), id, &box, &err) < 0 ||
            strcmp(box->sheet.owner, httpd_user(request)) != 0)
            continue;
        put_metrics(&json, id, box);
    }
    json_end_object(&json);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void put_old_line(void *payload, const struct logbook_line *line)
{
    struct json *json = payload;
    json_begin_object(json);
    put_time(json, "timestamp", line->time_ms);
    json_put_text(json, "line", line->text);
    json_end_object(json);
}

static void put_line(void *payload, const struct logbook_line *line)
{
    struct json *json = payload;
    json_begin_object(json);
    put_time(json, "timestamp", line->time_ms);
    json_put_text(json, "level", line->kind == LOG_STDERR ? "error" : "info");
    json_put_text(json, "message", line->text);
    json_key(json, "fields");
    json_begin_object(json);
    json_put_text(json, "source", logbook_kind_name(line->kind));
    json_end_object(json);
    json_end_object(json);
}

static void put_lines(struct json *json, struct place *box, const char *key,
                      void (*put)(void *payload, const struct logbook_line *line))
{
    json_key(json, key);
    json_begin_array(json);
    logbook_each(&box->log, 0, put, json);
    json_end_array(json);
}

static void logs(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    bool old = strncmp(httpd_path(request), "/v2", 3) != 0;
    if (!find(request, &box))
        return;
    json_begin_object(&json);
    put_lines(&json, box, "logs", old ? put_old_line : put_line);
    if (old)
        put_lines(&json, box, "logEntries", put_line);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

static void put_template(struct json *json, const char *name)
{
    json_begin_object(json);
    json_put_text(json, "templateID", name);
    json_put_text(json, "buildID", "00000000-0000-0000-0000-000000000000");
    json_put_bool(json, "public", true);
    json_key(json, "aliases");
    json_begin_array(json);
    json_text(json, name);
    json_end_array(json);
    json_end_object(json);
}

static void templates(struct httpd_request *request)
{
    const struct serve_settings *settings = &serve_of(request)->settings;
    cleanup_buf struct buf buf = BUF_INIT(REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_array(&json);
    for (size_t i = 0; i < settings->template_count; i++)
        put_template(&json, settings->templates[i].name);
    json_end_array(&json);
    httpd_reply_json(request, 200, &buf);
}

static void health(struct httpd_request *request)
{
    httpd_reply_text(request, 200, "Health check successful");
}

#define ROW(verb, path, function)                                                                  \
    {                                                                                              \
        .method = verb, .pattern = path, .handler = function                                       \
    }
static const struct httpd_route routes[] = {
    ROW("GET", "/sandboxes", list),
    ROW("GET", "/v2/sandboxes", list),
    ROW("POST", "/sandboxes", create),
    ROW("POST", "/v2/sandboxes", create),
    ROW("GET", "/sandboxes/metrics", metrics_many),
    ROW("GET", "/sandboxes/{id}", show),
    ROW("DELETE", "/sandboxes/{id}", kill_one),
    ROW("POST", "/sandboxes/{id}/timeout", set_timeout),
    ROW("POST", "/sandboxes/{id}/refreshes", refresh),
    ROW("POST", "/sandboxes/{id}/pause", pause_one),
    ROW("POST", "/sandboxes/{id}/connect", connect_one),
    ROW("POST", "/v2/sandboxes/{id}/connect", connect_one),
    ROW("POST", "/sandboxes/{id}/resume", resume_one),
    ROW("GET", "/sandboxes/{id}/metrics", metrics_one),
    ROW("GET", "/sandboxes/{id}/logs", logs),
    ROW("GET", "/v2/sandboxes/{id}/logs", logs),
    ROW("GET", "/templates", templates),
    ROW("GET", "/v2/templates", templates),
};
const struct httpd_site e2b_api_site = {routes, ARRAY_SIZE(routes), auth_e2b, fail};

static const struct httpd_route open_routes[] = {ROW("GET", "/health", health)};
const struct httpd_site e2b_open_site = {open_routes, ARRAY_SIZE(open_routes), NULL, fail};
