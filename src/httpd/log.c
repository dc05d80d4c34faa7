// SPDX-License-Identifier: Apache-2.0
// The access log: one JSON object a request. Queries are left out, they hold signatures. Layer:
// httpd.
#include "base/clock.h"
#include "base/json.h"
#include "httpd/request.h"

#define LINE_MAX_BYTES (64 * 1024)

void log_request(const struct httpd_request *request)
{
    const struct httpd_options *options = &request->server->options;
    if (!options->access_log)
        return;
    cleanup_buf struct buf buf = BUF_INIT(LINE_MAX_BYTES);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_int(&json, "time_ms", clock_unix_ms());
    json_put_text(&json, "id", request->id);
    json_put_text(&json, "peer", request->peer);
    json_put_text(&json, "user", request->user[0] ? request->user : NULL);
    json_put_text(&json, "method", request->method);
    json_put_text(&json, "host", request->host);
    json_put_text(&json, "path", request->path);
    json_put_uint(&json, "status", request->status);
    json_put_uint(&json, "received", request->received);
    json_put_uint(&json, "sent", request->sent);
    json_put_int(&json, "us", (clock_boot_ns() - request->started_ns) / 1000);
    json_end_object(&json);
    const char *line = buf_text(&buf);
    if (line)
        options->access_log(options->context, line);
}
