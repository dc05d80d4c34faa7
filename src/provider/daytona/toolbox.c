// SPDX-License-Identifier: Apache-2.0
// Requests to the toolbox, Daytona's agent in each sandbox. Layer: provider.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "provider/cloud/exchange.h"
#include "provider/daytona/daytona.h"
#include "provider/daytona/script.h"

int daytona_toolbox_url(const struct daytona_box *box, const char *path, struct buf *ret_url,
                        struct sbx_error *err)
{
    buf_printf(ret_url, "%s/%s", box->base, path);
    return buf_text(ret_url) ? 0 : err_nomem(err);
}

int daytona_toolbox_call(struct daytona_box *box, const char *method, const char *path,
                         struct buf *body, const char *what, struct deadline deadline,
                         struct jsonv **ret_answer, struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(64 << 10);
    struct daytona_headers headers;
    int code = daytona_toolbox_url(box, path, &url, err);
    if (code == 0 && body && !buf_text(body))
        code = err_set(err, SBX_ERR_QUOTA, "%s: more than %zu bytes", what, body->limit);
    if (code < 0)
        return code;
    daytona_control_headers(box->daytona, body != NULL, &headers);
    const struct cloud_exchange exchange = {.http = box->daytona->http,
                                            .method = method,
                                            .url = url.data,
                                            .headers = headers.list,
                                            .header_count = DAYTONA_HEADERS,
                                            .body = body,
                                            .idempotent = strcmp(method, "GET") == 0,
                                            .what = what};
    return cloud_exchange(&exchange, deadline, ret_answer, NULL, err);
}

int daytona_toolbox_begin(struct daytona_box *box, const char *method, const char *path,
                          const struct buf *body, struct http_stream **ret_stream,
                          struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(8192);
    struct daytona_headers headers;
    int code = daytona_toolbox_url(box, path, &url, err);
    if (code == 0 && body && body->failed)
        code = err_set(err, SBX_ERR_QUOTA, "the request has more than %zu bytes", body->limit);
    if (code < 0)
        return code;
    daytona_control_headers(box->daytona, body != NULL, &headers);
    const struct http_request request = {.method = method,
                                         .url = url.data,
                                         .body = body ? body->data : NULL,
                                         .body_size = body ? body->size : 0,
                                         .headers = headers.list,
                                         .header_count = DAYTONA_HEADERS};
    return http_start(box->daytona->http, &request, ret_stream, err);
}

int daytona_toolbox_open(struct daytona_box *box, const char *path, const char *what,
                         struct deadline deadline, struct ws **ret_ws, struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(8192);
    struct daytona_headers headers;
    int code = daytona_toolbox_url(box, path, &url, err);
    if (code < 0)
        return code;
    daytona_control_headers(box->daytona, false, &headers);
    struct ws_request request = {url.data, headers.list, DAYTONA_HEADERS};
    code = ws_open(box->daytona->http, &request, deadline, ret_ws, err);
    return code < 0 ? err_wrap(err, "%s", what), code : 0;
}

// The service's own clock, in seconds, ends what nobody waits for any more.
static int64_t seconds_left(struct deadline deadline)
{
    int64_t left = deadline.at_ms == DEADLINE_NEVER ? REQUEST_MS : deadline.at_ms - clock_boot_ms();
    return left > 0 ? left / 1000 + 1 : 1;
}

int daytona_toolbox_run(void *self, const char *user, const char *const *argv, size_t argc,
                        struct deadline deadline, int *ret_exit_code, struct buf *out,
                        struct sbx_error *err)
{
    cleanup_buf struct buf line = BUF_INIT(SCRIPT_MAX), body = BUF_INIT(SCRIPT_MAX);
    cleanup_jsonv struct jsonv *answer = NULL;
    struct json json = JSON_INIT(&body, false);
    script_argv(&line, argv, argc);
    if (!buf_text(&line))
        return err_nomem(err);
    json_begin_object(&json);
    json_put_text(&json, "command", line.data);
    json_put_int(&json, "timeout", seconds_left(deadline));
    json_end_object(&json);
    int code = daytona_toolbox_call(self, "POST", "process/execute", &body, "cannot run a command",
                                    deadline, &answer, err);
    if (code < 0)
        return code;
    const char *text = jsonv_text(answer, "result");
    *ret_exit_code = (int)jsonv_int(answer, "exitCode", -1);
    buf_puts(out, text ? text : "");
    return out->failed ? err_set(err, SBX_ERR_QUOTA, "more than %zu bytes came back", out->limit)
                       : 0;
}
