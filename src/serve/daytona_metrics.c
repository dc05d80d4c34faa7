// SPDX-License-Identifier: Apache-2.0
// What a sandbox uses, in both of Daytona's forms: of the control plane and of the toolbox.
// Layer: serve.
#include <string.h>

#include "base/clock.h"
#include "serve/daytona_api.h"
#include "serve/toolbox.h"

struct usage {
    int64_t now_ms;
    uint64_t cpu_count, cpu_percent;
    struct sbx_metrics metrics;
};

static int read_usage(struct place *box, struct usage *ret_usage, struct sbx_error *err)
{
    struct sbx_info info;
    struct usage usage = {.now_ms = clock_unix_ms(), .metrics = SBX_METRICS_INIT};
    int code = place_info(box, &info, err);
    if (code == 0 && sbx_sandbox_metrics(box->sandbox, NULL, &usage.metrics, err) < 0)
        code = place_failed(box, err);
    if (code < 0)
        return code;
    int64_t age_ms = usage.now_ms - box->sheet.created_ms;
    usage.cpu_count = info.cpu_millis > 1000 ? info.cpu_millis / 1000 : 1;
    usage.cpu_percent = age_ms > 0 ? usage.metrics.cpu_usec / 10 / (uint64_t)age_ms : 0;
    *ret_usage = usage;
    return 0;
}

static void put_series(struct json *json, const char *name, uint64_t value, int64_t now_ms)
{
    json_begin_object(json);
    json_put_text(json, "metricName", name);
    json_key(json, "dataPoints");
    json_begin_array(json);
    json_begin_object(json);
    daytona_put_time(json, "timestamp", now_ms);
    json_put_uint(json, "value", value);
    json_end_object(json);
    json_end_array(json);
    json_end_object(json);
}

// The names of Daytona's telemetry.
void daytona_metrics(struct httpd_request *request)
{
    cleanup_place struct place *box = NULL;
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, false);
    struct usage usage;
    struct sbx_error err;
    if (!daytona_find(request, &box))
        return;
    if (read_usage(box, &usage, &err) < 0) {
        daytona_fail(request, &err);
        return;
    }
    const struct sbx_metrics *m = &usage.metrics;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"daytona.sandbox.cpu.utilization", usage.cpu_percent},
        {"daytona.sandbox.cpu.limit", usage.cpu_count},
        {"daytona.sandbox.memory.usage", m->memory_bytes},
        {"daytona.sandbox.memory.limit", m->memory_limit_bytes},
        {"daytona.sandbox.memory.cache", 0},
        {"daytona.sandbox.filesystem.usage", m->disk_bytes},
        {"daytona.sandbox.filesystem.total", m->disk_limit_bytes},
    };
    json_begin_object(&json);
    json_key(&json, "series");
    json_begin_array(&json);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        put_series(&json, rows[i].name, rows[i].value, usage.now_ms);
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
    if (read_usage(toolbox_box(request), &usage, &err) < 0) {
        daytona_fail(request, &err);
        return;
    }
    const struct sbx_metrics *m = &usage.metrics;
    json_begin_object(&json);
    json_put_uint(&json, "cpuCount", usage.cpu_count);
    json_put_uint(&json, "cpuUsedPct", usage.cpu_percent);
    json_put_uint(&json, "memTotal", m->memory_limit_bytes);
    json_put_uint(&json, "memUsed", m->memory_bytes);
    json_put_uint(&json, "memCache", 0);
    json_put_uint(&json, "diskTotal", m->disk_limit_bytes);
    json_put_uint(&json, "diskUsed", m->disk_bytes);
    json_put_uint(&json, "diskFree",
                  m->disk_limit_bytes > m->disk_bytes ? m->disk_limit_bytes - m->disk_bytes : 0);
    daytona_put_time(&json, "timestamp", usage.now_ms);
    json_put_int(&json, "timestampUnix", usage.now_ms / 1000);
    json_end_object(&json);
    httpd_reply_json(request, 200, &buf);
}
