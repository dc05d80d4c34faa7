// SPDX-License-Identifier: Apache-2.0
// Connect RPC. Layer: net.
#include "net/connect.h"

#include <stdlib.h>
#include <string.h>

#include "net/status.h"

#define HEADERS_COUNT_MAX 24

struct connect_stream {
    struct http_stream *http;
    const char *what;
    struct buf in;
    size_t at; // of what has been handed out
    bool ended;
};

struct code_row {
    const char *name;
    int code;
};

static const struct code_row codes[] = {
    {"canceled", SBX_ERR_CANCELLED},
    {"invalid_argument", SBX_ERR_INVALID},
    {"failed_precondition", SBX_ERR_CONFLICT},
    {"out_of_range", SBX_ERR_INVALID},
    {"unauthenticated", SBX_ERR_AUTH},
    {"permission_denied", SBX_ERR_DENIED},
    {"not_found", SBX_ERR_NOT_FOUND},
    {"already_exists", SBX_ERR_CONFLICT},
    {"aborted", SBX_ERR_CONFLICT},
    {"resource_exhausted", SBX_ERR_QUOTA},
    {"unimplemented", SBX_ERR_UNSUPPORTED},
    {"deadline_exceeded", SBX_ERR_TIMEOUT},
};

int connect_code(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (name && strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    return SBX_ERR_UNAVAILABLE;
}

// {"code": "not_found", "message": "..."}
static int told(const char *what, const struct jsonv *failure, struct sbx_error *err)
{
    const char *name = jsonv_text(failure, "code"), *message = jsonv_text(failure, "message");
    return err_set(err, connect_code(name), "%s: %s", what,
                   message && message[0] ? message
                   : name                ? name
                                         : "failed without saying why");
}

// An answer that is no success: the protocol's own error, or one of a proxy on the way.
static int refused(const char *what, const struct http_reply *reply, struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *root = NULL;
    struct sbx_error ignored;
    bool json = jsonv_parse(reply->body.data, reply->body.size, &root, &ignored) == 0;
    int code = status_error(what, reply, err);
    if (json && jsonv_text(root, "code")) {
        code = told(what, root, err);
        err->http_status = reply->status;
        err->retry_after_ms = (uint32_t)status_retry_after_ms(&reply->headers);
    }
    return code;
}

static size_t add_headers(const struct connect_request *request, const char *type,
                          struct http_header headers[HEADERS_COUNT_MAX])
{
    size_t count = 0;
    headers[count++] = (struct http_header){"Content-Type", type};
    headers[count++] = (struct http_header){"Connect-Protocol-Version", "1"};
    for (size_t i = 0; i < request->header_count && count < HEADERS_COUNT_MAX; i++)
        headers[count++] = request->headers[i];
    return count;
}

int connect_call(const struct connect_request *request, const char *what, struct deadline deadline,
                 struct jsonv **ret_answer, struct sbx_error *err)
{
    struct http_header headers[HEADERS_COUNT_MAX];
    struct http_request http = {.method = "POST",
                                .url = request->url,
                                .headers = headers,
                                .header_count = add_headers(request, "application/json", headers),
                                .body = request->message,
                                .body_size = request->message_size,
                                .flags = request->idempotent ? HTTP_IDEMPOTENT : 0};
    cleanup_reply struct http_reply reply = HTTP_REPLY_INIT;
    int code = http_call(request->http, &http, deadline, &reply, err);
    if (code < 0)
        return err_wrap(err, "%s", what), code;
    if (reply.status != 200)
        return refused(what, &reply, err);
    code = jsonv_parse(reply.body.data, reply.body.size, ret_answer, err);
    return code < 0 ? (err_wrap(err, "%s: the service's answer", what), code) : 0;
}

void connect_frame_put(struct buf *out, unsigned flags, const char *data, size_t size)
{
    const unsigned char header[CONNECT_HEADER] = {(unsigned char)flags, (unsigned char)(size >> 24),
                                                  (unsigned char)(size >> 16),
                                                  (unsigned char)(size >> 8), (unsigned char)size};
    buf_add(out, header, sizeof(header));
    buf_add(out, data, size);
}

long connect_frame_take(const char *data, size_t size, struct connect_frame *ret_frame)
{
    const unsigned char *header = (const unsigned char *)data;
    if (size < CONNECT_HEADER)
        return 0;
    size_t length =
        (size_t)header[1] << 24 | (size_t)header[2] << 16 | (size_t)header[3] << 8 | header[4];
    if (length > CONNECT_MESSAGE_MAX || (header[0] & ~CONNECT_END))
        return -1; // compression was not offered
    if (size < CONNECT_HEADER + length)
        return 0;
    *ret_frame = (struct connect_frame){header[0], data + CONNECT_HEADER, length};
    return (long)(CONNECT_HEADER + length);
}

void connect_close(struct connect_stream *stream)
{
    if (!stream)
        return;
    http_stream_close(stream->http);
    buf_deinit(&stream->in);
    free(stream);
}

// Status and headers say whether the call was accepted at all.
static int check_answer(struct connect_stream *stream, struct deadline deadline,
                        struct sbx_error *err)
{
    cleanup_reply struct http_reply reply = {.body = BUF_INIT(65536)};
    int code = http_wait(stream->http, deadline, &reply.status, err);
    if (code < 0 || reply.status == 200)
        return code;
    struct sbx_error ignored;
    http_read_all(stream->http, &reply.body, deadline, &ignored);
    reply.headers = *http_headers(stream->http);
    code = refused(stream->what, &reply, err);
    reply.headers = (struct buf){0};
    return code;
}

int connect_open(const struct connect_request *request, const char *what, struct deadline deadline,
                 struct connect_stream **ret_stream, struct sbx_error *err)
{
    struct http_header headers[HEADERS_COUNT_MAX];
    struct buf frame = BUF_INIT(CONNECT_MESSAGE_MAX + CONNECT_HEADER);
    connect_frame_put(&frame, 0, request->message, request->message_size);
    struct http_request http = {.method = "POST",
                                .url = request->url,
                                .headers = headers,
                                .header_count =
                                    add_headers(request, "application/connect+json", headers),
                                .body = frame.data,
                                .body_size = frame.size};
    struct connect_stream *stream = calloc(1, sizeof(*stream));
    int code = !stream || frame.failed ? err_nomem(err) : 0;
    if (code == 0) {
        stream->what = what;
        stream->in.limit = CONNECT_MESSAGE_MAX + CONNECT_HEADER + (1u << 20);
        code = http_start(request->http, &http, &stream->http, err);
    }
    buf_deinit(&frame);
    if (code == 0)
        code = check_answer(stream, deadline, err);
    if (code < 0) {
        connect_close(stream);
        return code;
    }
    *ret_stream = stream;
    return 0;
}

static int end_of(struct connect_stream *stream, const struct connect_frame *frame,
                  struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *root = NULL;
    stream->ended = true;
    int code = jsonv_parse(frame->data, frame->size, &root, err);
    const struct jsonv *failure = jsonv_get(root, "error");
    return code < 0 ? code : failure ? told(stream->what, failure, err) : 0;
}

// More of the stream behind what is kept.
static int read_more(struct connect_stream *stream, struct deadline deadline, struct sbx_error *err)
{
    buf_consume(&stream->in, stream->at);
    stream->at = 0;
    char *room = buf_reserve(&stream->in, 256u << 10);
    if (!room)
        return err_nomem(err);
    size_t got = 0;
    int code = http_read(stream->http, room, 256u << 10, deadline, &got, err);
    if (code < 0)
        return err_wrap(err, "%s", stream->what), code;
    if (got == 0)
        return err_set(err, SBX_ERR_UNAVAILABLE, "%s: the service broke off its answer",
                       stream->what);
    buf_commit(&stream->in, got);
    return 0;
}

int connect_next(struct connect_stream *stream, struct deadline deadline, const char **ret_message,
                 size_t *ret_size, struct sbx_error *err)
{
    struct connect_frame frame;
    *ret_message = NULL;
    while (!stream->ended) {
        const char *data = stream->in.data ? stream->in.data + stream->at : "";
        long taken = connect_frame_take(data, stream->in.size - stream->at, &frame);
        if (taken < 0)
            return err_set(err, SBX_ERR_PROTOCOL,
                           "%s: the service sent a frame that makes no sense", stream->what);
        stream->at += (size_t)taken;
        if (taken > 0 && (frame.flags & CONNECT_END))
            return end_of(stream, &frame, err);
        if (taken > 0) {
            *ret_message = frame.data;
            *ret_size = frame.size;
            return 0;
        }
        int code = read_more(stream, deadline, err);
        if (code < 0)
            return code;
    }
    return 0;
}
