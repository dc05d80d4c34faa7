// SPDX-License-Identifier: Apache-2.0
// E2B's control plane: metrics, logs, templates. Layer: serve.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/e2b_api.h"

static void put_usage(struct json *json, const struct usage *usage)
{
    json_begin_object(json);
    e2b_put_time(json, "timestamp", usage->at_ms);
    json_put_int(json, "timestampUnix", usage->at_ms / 1000);
    json_put_uint(json, "cpuCount", usage->cpu_count);
    json_put_uint(json, "cpuUsedPct", usage->cpu_percent);
    json_put_uint(json, "memUsed", usage->memory_bytes);
    json_put_uint(json, "memTotal", usage->memory_limit_bytes);
    json_put_uint(json, "memCache", usage->cache_bytes);
    json_put_uint(json, "diskUsed", usage->disk_bytes);
    json_put_uint(json, "diskTotal", usage->disk_limit_bytes);
    json_end_object(json);
}

// A time of the query in seconds; the whole of the last second counts.
static int64_t read_bound(struct httpd_request *request, const char *name, int64_t more_ms)
{
    const char *text = httpd_query(request, name);
    int64_t seconds = text ? strtoll(text, NULL, 10) : 0;
    return seconds > 0 && seconds < INT64_MAX / 1000 - 1 ? seconds * 1000 + more_ms : 0;
}

void e2b_metrics_one(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    cleanup_free struct usage *items = NULL;
    size_t count = 0;
    struct sbx_error err;
    if (!e2b_find(request, &box))
        return;
    if (usage_span(box, read_bound(request, "start", 0), read_bound(request, "end", 999), &items,
                   &count, &err) < 0) {
        e2b_fail_of(request, box, &err);
        return;
    }
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++)
        put_usage(&json, &items[i]);
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
        struct usage usage;
        cleanup_place struct place *box = NULL;
        if (place_get(serve_of(request), id, &box, &err) < 0 ||
            strcmp(box->sheet.owner, httpd_user(request)) != 0 || usage_now(box, &usage, &err) < 0)
            continue;
        json_key(&json, id);
        put_usage(&json, &usage);
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

// One of them, and the question of clients whether one is there.
void e2b_template_show(struct httpd_request *request)
{
    const char *name = httpd_param(request, "id"), *image;
    char space[SERVE_IMAGE_SIZE], text[512];
    cleanup_buf struct buf buf = BUF_INIT(E2B_REPLY_MAX);
    struct json json = JSON_INIT(&buf, false);
    if (serve_image(serve_of(request), httpd_user(request), name, space, &image)) {
        put_template(&json, name);
        httpd_reply_json(request, 200, &buf);
        return;
    }
    snprintf(text, sizeof(text), "template '%.200s' not found", name);
    httpd_fail(request, 404, text);
}
