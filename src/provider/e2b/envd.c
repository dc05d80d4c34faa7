// SPDX-License-Identifier: Apache-2.0
// Requests to envd, E2B's agent in each sandbox. Layer: provider.
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "net/status.h"
#include "provider/e2b/e2b.h"

#define PORT_TEXT "49983"

void e2b_envd_headers(const struct e2b_box *box, const char *user, struct envd_headers *ret_headers)
{
    const char *as = user ? user : box->user;
    ret_headers->authorization[0] = '\0';
    if (as) {
        char pair[200];
        cleanup_buf struct buf text = BUF_INIT(sizeof(ret_headers->authorization) - 1);
        snprintf(pair, sizeof(pair), "%.180s:", as);
        buf_puts(&text, "Basic ");
        base64_encode(&text, pair, strlen(pair));
        snprintf(ret_headers->authorization, sizeof(ret_headers->authorization), "%s",
                 buf_text(&text) ? text.data : "");
    }
    const struct http_header list[ENVD_HEADERS] = {
        {"E2b-Sandbox-Id", box->id},
        {"E2b-Sandbox-Port", PORT_TEXT},
        {"X-Access-Token", box->token},
        {"Authorization", as ? ret_headers->authorization : NULL},
        {"Keepalive-Ping-Interval", "50"},
    };
    memcpy(ret_headers->list, list, sizeof(list));
    ret_headers->count = ENVD_HEADERS;
}

int e2b_envd_url(const struct e2b_box *box, const char *path, struct buf *ret_url,
                 struct sbx_error *err)
{
    buf_printf(ret_url, "%s/%s", box->base, path);
    return buf_text(ret_url) ? 0 : err_nomem(err);
}

int e2b_envd_meaning(const struct e2b_box *box, int code, struct sbx_error *err)
{
    if (code == SBX_ERR_UNAVAILABLE && err->http_status == 502 &&
        strstr(err->message, "was not found")) {
        err_set(err, SBX_ERR_NOT_FOUND, "sandbox %s does not exist any more", box->id);
        err->http_status = 502;
        return SBX_ERR_NOT_FOUND;
    }
    return code;
}

static int request(struct e2b_box *box, const char *method, struct buf *message, struct buf *url,
                   struct connect_request *ret_request, struct sbx_error *err)
{
    int code = e2b_envd_url(box, method, url, err);
    if (code == 0 && !buf_text(message))
        code = err_nomem(err);
    if (code < 0)
        return code;
    *ret_request = (struct connect_request){.http = box->e2b->http,
                                            .url = url->data,
                                            .message = message->data,
                                            .message_size = message->size};
    return 0;
}

int e2b_envd_call(struct e2b_box *box, const char *user, const char *method, struct buf *message,
                  const char *what, bool idempotent, struct deadline deadline,
                  struct jsonv **ret_answer, struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(8192);
    cleanup_jsonv struct jsonv *answer = NULL;
    struct envd_headers headers;
    struct connect_request call;
    int code = request(box, method, message, &url, &call, err);
    if (code < 0)
        return code;
    e2b_envd_headers(box, user, &headers);
    call.headers = headers.list;
    call.header_count = headers.count;
    call.idempotent = idempotent;
    code = e2b_envd_meaning(box, connect_call(&call, what, deadline, &answer, err), err);
    if (code == 0 && ret_answer)
        *ret_answer = steal_ptr(answer);
    return code;
}

int e2b_envd_open(struct e2b_box *box, const char *user, const char *method, struct buf *message,
                  const char *what, struct deadline deadline, struct connect_stream **ret_stream,
                  struct sbx_error *err)
{
    cleanup_buf struct buf url = BUF_INIT(8192);
    struct envd_headers headers;
    struct connect_request call;
    int code = request(box, method, message, &url, &call, err);
    if (code < 0)
        return code;
    e2b_envd_headers(box, user, &headers);
    call.headers = headers.list;
    call.header_count = headers.count;
    return e2b_envd_meaning(box, connect_open(&call, what, deadline, ret_stream, err), err);
}

static uint32_t count_processes(struct e2b_box *box, struct deadline deadline)
{
    cleanup_jsonv struct jsonv *answer = NULL;
    cleanup_buf struct buf message = BUF_INIT(100);
    struct sbx_error ignored;
    buf_puts(&message, "{}");
    if (e2b_envd_call(box, NULL, "process.Process/List", &message, "processes", true, deadline,
                      &answer, &ignored) < 0)
        return 0;
    return (uint32_t)jsonv_count(jsonv_get(answer, "processes"));
}

// envd counts processor use as a share, not as time: cpu_usec stays 0.
int e2b_envd_metrics(void *self, const struct sbx_call *call, struct sbx_metrics *ret_metrics,
                     struct sbx_error *err)
{
    struct e2b_box *box = self;
    struct deadline deadline = cloud_deadline(call);
    cleanup_buf struct buf url = BUF_INIT(8192);
    cleanup_reply struct http_reply reply = HTTP_REPLY_INIT;
    cleanup_jsonv struct jsonv *root = NULL;
    struct envd_headers headers;
    int code = e2b_envd_url(box, "metrics", &url, err);
    if (code < 0)
        return code;
    e2b_envd_headers(box, NULL, &headers);
    struct http_request request = {.method = "GET",
                                   .url = url.data,
                                   .headers = headers.list,
                                   .header_count = headers.count,
                                   .flags = HTTP_IDEMPOTENT};
    code = http_call(box->e2b->http, &request, deadline, &reply, err);
    if (code == 0 && reply.status != 200)
        code = e2b_envd_meaning(box, status_error("cannot measure the sandbox", &reply, err), err);
    if (code == 0)
        code = jsonv_parse(reply.body.data, reply.body.size, &root, err);
    if (code < 0)
        return code;
    *ret_metrics = (struct sbx_metrics){
        .size = sizeof(*ret_metrics),
        .memory_bytes = (uint64_t)jsonv_int(root, "mem_used", 0),
        .memory_limit_bytes = (uint64_t)jsonv_int(root, "mem_total", 0),
        .disk_bytes = (uint64_t)jsonv_int(root, "disk_used", 0),
        .disk_limit_bytes = (uint64_t)jsonv_int(root, "disk_total", 0),
        .pids = count_processes(box, deadline),
    };
    return 0;
}

// Every port is reachable already, under a name of its own.
int e2b_envd_expose(void *self, const struct sbx_port *port, const struct sbx_call *call,
                    char *ret_url, size_t url_size, struct sbx_error *err)
{
    struct e2b_box *box = self;
    if (port->host_port)
        return err_set(err, SBX_ERR_UNSUPPORTED,
                       "provider 'e2b' gives ports host names, not ports of this machine");
    int length = box->e2b->debug ? snprintf(ret_url, url_size, "http://localhost:%u", port->port)
                                 : snprintf(ret_url, url_size, "https://%u-%s.%s", port->port,
                                            box->id, box->domain);
    return length >= 0 && (size_t)length < url_size
               ? 0
               : err_set(err, SBX_ERR_INVALID, "url_size is too small for the address");
}
