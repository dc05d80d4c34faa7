// SPDX-License-Identifier: Apache-2.0
// What a sandbox uses, in both of Daytona's forms: of the control plane and of the toolbox.
// Layer: serve.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "serve/daytona_api.h"
#include "serve/toolbox.h"
#include "serve/usage.h"

// RFC 3339, as clients write it: "2026-11-21T10:00:00.123+00:00", always in UTC. 0 for none.
static int64_t read_time(const char *text)
{
    struct tm parts = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;
    double fraction = rest && *rest == '.' ? strtod(rest, NULL) : 0;
    return rest ? (int64_t)timegm(&parts) * 1000 + (int64_t)(fraction * 1000) : 0;
}

// The names of Daytona's telemetry.
static const struct {
    const char *name;
    size_t offset;
} series[] = {
    {"daytona.sandbox.cpu.utilization", offsetof(struct usage, cpu_percent)},
    {"daytona.sandbox.cpu.limit", offsetof(struct usage, cpu_count)},
    {"daytona.sandbox.memory.usage", offsetof(struct usage, memory_bytes)},
    {"daytona.sandbox.memory.limit", offsetof(struct usage, memory_limit_bytes)},
    {"daytona.sandbox.memory.cache", offsetof(struct usage, cache_bytes)},
    {"daytona.sandbox.filesystem.usage", offsetof(struct usage, disk_bytes)},
    {"daytona.sandbox.filesystem.total", offsetof(struct usage, disk_limit_bytes)},
};

static void put_series(struct json *json, size_t row, const struct usage *items, size_t count)
{
    json_begin_object(json);
    json_put_text(json, "metricName", series[row].name);
    json_key(json, "dataPoints");
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        const char *at = (const char *)&items[i] + series[row].offset;
        json_begin_object(json);
        daytona_put_time(json, "timestamp", items[i].at_ms);
        json_put_uint(json, "value", *(const uint64_t *)(const void *)at);
        json_end_object(json);
    }
    json_end_array(json);
    json_end_object(json);
}

void daytona_metrics(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(1024 * 1024);
    struct json json = JSON_INIT(&buf, false);
    cleanup_free struct usage *items = NULL;
    size_t count = 0;
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    if (usage_span(box, read_time(httpd_query(request, "from")),
                   read_time(httpd_query(request, "to")), &items, &count, &err) < 0) {
        daytona_fail(request, &err);
        return;
    }
    json_begin_object(&json);
    json_key(&json, "series");
    json_begin_array(&json);
    for (size_t i = 0; i < ARRAY_SIZE(series); i++)
        put_series(&json, i, items, count);
    json_end_array(&json);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}

void toolbox_metrics(struct httpd_request *request)
{
    cleanup_buf struct buf buf = BUF_INIT(4096);
    struct json json = JSON_INIT(&buf, false);
    struct usage usage;
    struct sbx_error err;
    if (usage_now(toolbox_box(request), &usage, &err) < 0) {
        daytona_fail(request, &err);
        return;
    }
    json_begin_object(&json);
    json_put_uint(&json, "cpuCount", usage.cpu_count);
    json_put_uint(&json, "cpuUsedPct", usage.cpu_percent);
    json_put_uint(&json, "memTotal", usage.memory_limit_bytes);
    json_put_uint(&json, "memUsed", usage.memory_bytes);
    json_put_uint(&json, "memCache", 0);
    json_put_uint(&json, "diskTotal", usage.disk_limit_bytes);
    json_put_uint(&json, "diskUsed", usage.disk_bytes);
    json_put_uint(
        &json, "diskFree",
        usage.disk_limit_bytes > usage.disk_bytes ? usage.disk_limit_bytes - usage.disk_bytes : 0);
    daytona_put_time(&json, "timestamp", usage.at_ms);
    json_put_int(&json, "timestampUnix", usage.at_ms / 1000);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}
