// SPDX-License-Identifier: Apache-2.0
// Replies. Layer: httpd.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "httpd/request.h"

// What a source may fill at once; libmicrohttpd takes it from the connection's own memory.
#define BLOCK_SIZE (64 * 1024)

bool httpd_replied(const struct httpd_request *request)
{
    return request->replied;
}

void httpd_add_header(struct httpd_request *request, const char *name, const char *value)
{
    if (request->header_count == REQUEST_HEADERS_MAX || strpbrk(value, "\r\n"))
        return;
    char *own_name = strdup(name), *own_value = strdup(value);
    if (!own_name || !own_value) {
        free(own_name);
        free(own_value);
        return;
    }
    request->headers[request->header_count].name = own_name;
    request->headers[request->header_count++].value = own_value;
}

// Keeps the response for the moment when it may be queued.
static void reply(struct httpd_request *request, unsigned status, const char *type,
                  struct MHD_Response *response)
{
    if (!response || request->replied) {
        if (response)
            MHD_destroy_response(response);
        return;
    }
    request->replied = true;
    request->status = status;
    request->response = response;
    if (type)
        MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Request-Id", request->id);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < request->header_count; i++)
        MHD_add_response_header(response, request->headers[i].name, request->headers[i].value);
}

void httpd_reply(struct httpd_request *request, unsigned status, const char *type, const void *data,
                 size_t size)
{
    request->sent = size;
    reply(request, status, type,
          MHD_create_response_from_buffer(size, (void *)(uintptr_t)(size ? data : ""),
                                          MHD_RESPMEM_MUST_COPY));
}

void httpd_reply_text(struct httpd_request *request, unsigned status, const char *text)
{
    httpd_reply(request, status, "text/plain; charset=utf-8", text, strlen(text));
}

void httpd_reply_buf(struct httpd_request *request, unsigned status, const char *type,
                     struct buf *buf)
{
    size_t size;
    char *data = buf_steal(buf, &size);
    if (!data) {
        httpd_fail(request, 500, "the answer is too large, or memory is short");
        return;
    }
    request->sent = size;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(data);
    reply(request, status, type, response);
}

void httpd_reply_json(struct httpd_request *request, unsigned status, struct buf *buf)
{
    httpd_reply_buf(request, status, "application/json", buf);
}

void httpd_reply_file(struct httpd_request *request, unsigned status, const char *type, int fd,
                      uint64_t offset, uint64_t size)
{
    request->sent = size;
    struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(size, fd, offset);
    if (!response)
        close(fd);
    reply(request, status, type, response);
}

static void fail_plainly(struct httpd_request *request, unsigned status, const char *message)
{
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    json_put_uint(&json, "code", status);
    json_put_text(&json, "message", message);
    json_end_object(&json);
    httpd_reply(request, status, "application/json", buf.data, buf.size);
}

void httpd_fail(struct httpd_request *request, unsigned status, const char *message)
{
    if (request->replied)
        return;
    if (request->site && request->site->fail)
        request->site->fail(request, status, message);
    if (!request->replied)
        fail_plainly(request, status, message);
}

struct stream {
    struct httpd_source source;
    struct httpd_request *request;
};

static ssize_t read_stream(void *cls, uint64_t position, char *data, size_t size)
{
    struct stream *stream = cls;
    ssize_t got = stream->source.read(stream->source.payload, data, size);
    if (got == HTTPD_SOURCE_END)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (got <= 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    stream->request->sent += (uint64_t)got;
    return got;
}

static void release_stream(void *cls)
{
    struct stream *stream = cls;
    if (stream->source.release)
        stream->source.release(stream->source.payload);
    free(stream);
}

void httpd_reply_stream(struct httpd_request *request, unsigned status, const char *type,
                        const struct httpd_source *source)
{
    struct stream *stream = malloc(sizeof(*stream));
    struct MHD_Response *response = NULL;
    if (stream) {
        *stream = (struct stream){*source, request};
        response =
            MHD_create_response_from_callback(source->size ? source->size : MHD_SIZE_UNKNOWN,
                                              BLOCK_SIZE, read_stream, stream, release_stream);
    }
    if (!response) {
        if (source->release)
            source->release(source->payload);
        free(stream);
    }
    reply(request, status, type, response);
}
