// SPDX-License-Identifier: Apache-2.0
// The shapes of JSON results. Layer: cli.
#include "cli/report.h"

#include <stdio.h>

#include "base/utf8.h"

void report_error(struct json *json, const struct sbx_error *err)
{
    json_key(json, "error");
    if (!err) {
        json_null(json);
        return;
    }
    json_begin_object(json);
    json_put_text(json, "code", sbx_code_name(err->code));
    json_put_text(json, "message", err->message);
    json_put_text(json, "remedy", err->remedy);
    if (err->origin[0])
        json_put_text(json, "origin", err->origin);
    if (err->sys_errno)
        json_put_int(json, "errno", err->sys_errno);
    if (err->http_status)
        json_put_int(json, "http_status", err->http_status);
    if (err->retry_after_ms)
        json_put_uint(json, "retry_after_ms", err->retry_after_ms);
    json_end_object(json);
}

static void put_pairs(struct json *json, const char *key, const struct sbx_pair *pairs,
                      size_t count)
{
    json_key(json, key);
    json_begin_object(json);
    for (size_t i = 0; i < count; i++)
        json_put_text(json, pairs[i].name, pairs[i].value);
    json_end_object(json);
}

static void put_ports(struct json *json, const struct sbx_port *ports, size_t count)
{
    json_key(json, "ports");
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(json);
        json_put_uint(json, "port", ports[i].port);
        json_put_uint(json, "host_port", ports[i].host_port);
        json_end_object(json);
    }
    json_end_array(json);
}

static void put_limit(struct json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    if (value)
        json_uint(json, value);
    else
        json_null(json);
}

static void put_time(struct json *json, const char *key, int64_t unix_ms)
{
    json_key(json, key);
    if (unix_ms > 0)
        json_int(json, unix_ms);
    else
        json_null(json);
}

void report_info(struct json *json, const struct sbx_info *info)
{
    json_begin_object(json);
    json_put_text(json, "id", info->id);
    json_put_text(json, "provider", info->provider);
    json_put_text(json, "state", sbx_state_name(info->state));
    json_put_text(json, "image", info->image);
    json_put_text(json, "user", info->user);
    json_put_text(json, "network", sbx_network_name(info->network));
    put_time(json, "created_ms", info->created_ms);
    put_time(json, "expires_ms", info->expires_ms);
    put_limit(json, "memory_bytes", info->memory_bytes);
    put_limit(json, "disk_bytes", info->disk_bytes);
    put_limit(json, "cpu_millis", info->cpu_millis);
    put_limit(json, "max_pids", info->max_pids);
    put_pairs(json, "labels", info->labels, info->label_count);
    put_ports(json, info->ports, info->port_count);
    json_end_object(json);
}

void report_metrics(struct json *json, const char *id, const struct sbx_metrics *metrics)
{
    json_begin_object(json);
    json_put_text(json, "id", id);
    json_put_uint(json, "cpu_usec", metrics->cpu_usec);
    json_put_uint(json, "memory_bytes", metrics->memory_bytes);
    json_put_uint(json, "memory_peak_bytes", metrics->memory_peak_bytes);
    put_limit(json, "memory_limit_bytes", metrics->memory_limit_bytes);
    json_put_uint(json, "disk_bytes", metrics->disk_bytes);
    put_limit(json, "disk_limit_bytes", metrics->disk_limit_bytes);
    json_put_uint(json, "pids", metrics->pids);
    json_put_uint(json, "oom_kills", metrics->oom_kills);
    json_end_object(json);
}

void report_bytes(struct json *json, const char *key, const char *data, size_t size)
{
    if (utf8_valid(data, size)) {
        json_key(json, key);
        json_bytes(json, data, size);
        return;
    }
    char name[64];
    snprintf(name, sizeof(name), "%s_base64", key);
    json_key(json, name);
    json_base64(json, data, size);
}

void report_end(struct json *json, int status, const struct pump_end *end, const struct buf *out,
                const struct buf *err)
{
    json_put_int(json, "exit_code", status);
    json_key(json, "signal");
    if (end->outcome.signal)
        json_int(json, end->outcome.signal);
    else
        json_null(json);
    json_put_bool(json, "timed_out", end->outcome.flags & SBX_OUTCOME_TIMED_OUT);
    json_put_bool(json, "out_of_memory", end->outcome.flags & SBX_OUTCOME_OOM);
    json_put_bool(json, "truncated", end->truncated);
    report_bytes(json, "stdout", out->data, out->size);
    report_bytes(json, "stderr", err->data, err->size);
}
