// SPDX-License-Identifier: Apache-2.0
// Whole exchanges, and trying them again where that does no harm. Layer: net.
#include <string.h>

#include "base/id.h"
#include "net/http_internal.h"
#include "net/status.h"

#define TRIES 3
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 10000 // a service that wants more is left to the caller

bool http_header_get(const struct buf *headers, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    const char *at = headers->data, *end = at ? at + headers->size : NULL;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            return false;
        if ((size_t)(line_end - at) > length && memcmp(at, name, length) == 0 &&
            at[length] == ':') {
            at += length + 1;
            while (at < line_end && (*at == ' ' || *at == '\t'))
                at++;
            size_t found = (size_t)(line_end - at);
            if (found >= size || memchr(at, '\0', found))
                return false;
            memcpy(value, at, found);
            value[found] = '\0';
            return true;
        }
        at = line_end + 1;
    }
    return false;
}

static int copy_headers(const struct http_stream *stream, struct http_reply *reply,
                        struct sbx_error *err)
{
    const struct buf *headers = http_headers(stream);
    reply->headers = (struct buf)BUF_INIT(headers->size);
    buf_add(&reply->headers, headers->data, headers->size);
    return reply->headers.failed ? err_nomem(err) : 0;
}

static int call_once(struct http *http, const struct http_request *request,
                     struct deadline deadline, struct http_reply *ret_reply, struct sbx_error *err)
{
    cleanup_stream struct http_stream *stream = NULL;
    cleanup_reply struct http_reply reply = {
        .body = BUF_INIT(request->reply_max ? request->reply_max : HTTP_REPLY_MAX)};
    struct http_request whole = *request;
    whole.flags |= HTTP_WHOLE;
    int code = http_start(http, &whole, &stream, err);
    if (code == 0)
        code = http_wait(stream, deadline, &reply.status, err);
    if (code == 0)
        code = http_read_all(stream, &reply.body, deadline, err);
    if (code == 0)
        code = copy_headers(stream, &reply, err);
    if (code < 0)
        return code;
    *ret_reply = reply;
    reply = (struct http_reply){0};
    return 0;
}

// How long to wait before the next try; -1: there is none.
static int64_t pause_before(int code, const struct http_reply *reply, int attempt)
{
    int64_t pause = FIRST_PAUSE_MS << attempt;
    uint8_t random = 0;
    id_random(&random, 1);
    pause -= pause * random / 512; // so that those who failed together don't come back together
    if (code == SBX_ERR_UNAVAILABLE)
        return pause;
    if (code < 0 || (reply->status != 429 && reply->status != 502 && reply->status != 503 &&
                     reply->status != 504))
        return -1;
    int64_t asked = status_retry_after_ms(&reply->headers);
    if (asked > LONGEST_PAUSE_MS)
        return -1;
    return asked > pause ? asked : pause;
}

static bool wait_until(struct deadline deadline, int64_t at_ms)
{
    struct sbx_error ignored;
    return at_ms < deadline.at_ms &&
           deadline_wait(deadline_min(deadline, at_ms), -1, 0, NULL, &ignored) == SBX_ERR_TIMEOUT;
}

int http_call(struct http *http, const struct http_request *request, struct deadline deadline,
              struct http_reply *ret_reply, struct sbx_error *err)
{
    for (int attempt = 0;; attempt++) {
        struct http_reply reply = HTTP_REPLY_INIT;
        int code = call_once(http, request, deadline, &reply, err);
        int64_t pause = attempt + 1 < TRIES && (request->flags & HTTP_IDEMPOTENT)
                            ? pause_before(code, &reply, attempt)
                            : -1;
        if (pause < 0 || !wait_until(deadline, clock_boot_ms() + pause)) {
            if (code == 0)
                *ret_reply = reply;
            return code;
        }
        http_reply_deinit(&reply);
        err_clear(err);
    }
}
