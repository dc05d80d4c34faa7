// SPDX-License-Identifier: Apache-2.0
// E2B's control plane: metrics, logs, templates. Layer: serve.
#include <string.h>

#include "base/clock.h"
#include "serve/e2b_api.h"

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
    e2b_put_time(json, "timestamp", now);
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

void e2b_metrics_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (!e2b_find(request, &box))
        return;
    json_begin_array(&json);
    put_metrics(&json, NULL, box);
    json_end_array(&json);
    httpd_reply_json(request, 200, &buf);
}

void e2b_metrics_many(struct httpd_request *request)
{
    const char *ids = httpd_query(request, "sandbox_ids");
    cleanup_free char *copy = strdup(ids ? ids : "");
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
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
    e2b_put_time(json, "timestamp", line->time_ms);
    json_put_text(json, "line", line->text);
    json_end_object(json);
}

static void put_line(void *payload, const struct logbook_line *line)
{
    struct json *json = payload;
    json_begin_object(json);
    e2b_put_time(json, "timestamp", line->time_ms);
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

void e2b_logs(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    bool old = strncmp(httpd_path(request), "/v2", 3) != 0;
    if (!e2b_find(request, &box))
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

void e2b_templates(struct httpd_request *request)
{
    const struct serve_settings *settings = &serve_of(request)->settings;
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_array(&json);
    for (size_t i = 0; i < settings->template_count; i++)
        put_template(&json, settings->templates[i].name);
    json_end_array(&json);
    httpd_reply_json(request, 200, &buf);
}
