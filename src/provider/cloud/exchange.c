// SPDX-License-Identifier: Apache-2.0
// One request to a service and its answer in JSON. Layer: provider.
#include "provider/cloud/exchange.h"

#include "base/cleanup.h"
#include "net/status.h"

int cloud_exchange(const struct cloud_exchange *exchange, struct deadline deadline,
                   struct jsonv **ret_answer, struct buf *ret_headers, struct sbx_error *err)
{
    cleanup_reply struct http_reply reply = HTTP_REPLY_INIT;
    const char *what = exchange->what;
    struct http_request request = {.method = exchange->method,
                                   .url = exchange->url,
                                   .headers = exchange->headers,
                                   .header_count = exchange->header_count,
                                   .body = exchange->body ? exchange->body->data : NULL,
                                   .body_size = exchange->body ? exchange->body->size : 0,
                                   .flags = exchange->idempotent ? HTTP_IDEMPOTENT : 0};
    int code = http_call(exchange->http, &request, deadline, &reply, err);
    if (code < 0)
        return err_wrap(err, "%s", what), code;
    if (status_code(reply.status) < 0)
        return status_error(what, &reply, err);
    if (ret_answer)
        code = jsonv_parse(reply.body.data, reply.body.size, ret_answer, err);
    if (code < 0)
        return err_wrap(err, "%s: the service's answer", what), code;
    if (ret_headers) {
        *ret_headers = reply.headers;
        reply.headers = (struct buf){0};
    }
    return 0;
}
