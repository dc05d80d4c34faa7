// SPDX-License-Identifier: Apache-2.0
// WebSocket client. Layer: net.
#include "net/websocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/id.h"
#include "base/sha1.h"
#include "net/status.h"

#define ANSWER_MAX (32u << 10)
#define PIECE (64u << 10)
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, 1.3

struct ws {
    struct http_stream *stream;
    struct buf in;
    size_t at;          // of what has been handed out
    struct buf message; // of several frames
    unsigned kind;      // of the message that goes on, 0: none
    bool closed;
};

void ws_accept(const char *key, char ret_text[32])
{
    unsigned char digest[SHA1_SIZE];
    struct sha1 hash;
    struct buf out = BUF_INIT(31);
    sha1_init(&hash);
    sha1_update(&hash, key, strnlen(key, 24));
    sha1_update(&hash, GUID, strlen(GUID));
    sha1_end(&hash, digest);
    base64_encode(&out, digest, sizeof(digest));
    snprintf(ret_text, 32, "%s", buf_text(&out) ? out.data : "");
    buf_deinit(&out);
}

long ws_frame_take(const char *data, size_t size, struct ws_frame *ret_frame)
{
    const unsigned char *bytes = (const unsigned char *)data;
    if (size < 2)
        return 0;
    unsigned opcode = bytes[0] & 15, length = bytes[1] & 127;
    bool final = bytes[0] & 0x80;
    // Extensions were not asked for, servers do not mask, and control frames are short and whole.
    if ((bytes[0] & 0x70) || (bytes[1] & 0x80) || (opcode > 2 && opcode < 8) || opcode > 10 ||
        (opcode >= 8 && (!final || length > 125)))
        return -1;
    size_t header = length < 126 ? 2 : length == 126 ? 4 : 10;
    if (size < header)
        return 0;
    uint64_t payload = length < 126 ? length : 0;
    for (size_t i = 2; i < header; i++)
        payload = payload << 8 | bytes[i];
    if (payload > WS_MESSAGE_MAX)
        return -1;
    if (size - header < payload)
        return 0;
    *ret_frame = (struct ws_frame){final, opcode, data + header, (size_t)payload};
    return (long)(header + payload);
}

void ws_frame_put(struct buf *out, enum ws_kind kind, const void *data, size_t size,
                  const unsigned char mask[4])
{
    unsigned char header[14] = {(unsigned char)(0x80 | kind)};
    size_t length = 2;
    if (size < 126) {
        header[1] = (unsigned char)(0x80 | size);
    } else {
        int bytes = size < 65536 ? 2 : 8;
        header[1] = bytes == 2 ? 0x80 | 126 : 0x80 | 127;
        for (int i = 0; i < bytes; i++)
            header[length++] = (unsigned char)((uint64_t)size >> (8 * (bytes - 1 - i)));
    }
    memcpy(header + length, mask, 4);
    buf_add(out, header, length + 4);
    char *room = size ? buf_reserve(out, size) : NULL;
    for (size_t i = 0; room && i < size; i++)
        room[i] = (char)(((const unsigned char *)data)[i] ^ mask[i % 4]);
    if (room)
        buf_commit(out, size);
}

static int send_request(struct ws *ws, const struct ws_request *request, const char *key,
                        struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf text = BUF_INIT(64 << 10);
    const char *host = strstr(request->url, "://");
    host = host ? host + 3 : request->url;
    size_t host_size = strcspn(host, "/?#");
    const char *path = host[host_size] ? host + host_size : "/";
    buf_printf(&text,
               "GET %s%s HTTP/1.1\r\nHost: %.*s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
               path[0] == '/' ? "" : "/", path, (int)host_size, host, key);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->value && strpbrk(header->value, "\r\n"))
            return err_set(err, SBX_ERR_INVALID, "the value for header '%s' has line ends",
                           header->name);
        if (header->value)
            buf_printf(&text, "%s: %s\r\n", header->name, header->value);
    }
    buf_puts(&text, "\r\n");
    return text.failed ? err_nomem(err)
                       : http_send(ws->stream, text.data, text.size, deadline, err);
}

static int read_more(struct ws *ws, struct deadline deadline, struct sbx_error *err)
{
    size_t got = 0;
    buf_consume(&ws->in, ws->at);
    ws->at = 0;
    char *room = buf_reserve(&ws->in, PIECE);
    if (!room)
        return err_nomem(err);
    int code = http_read(ws->stream, room, PIECE, deadline, &got, err);
    if (code == 0 && got == 0)
        code = err_set(err, SBX_ERR_UNAVAILABLE, "the connection was closed");
    if (code == 0)
        buf_commit(&ws->in, got);
    return code;
}

// Lines "name: value\n" in lower case, as http_header_get() reads them.
static void copy_headers(const char *text, size_t size, struct buf *out)
{
    for (size_t at = 0; at < size;) {
        size_t end = at;
        while (end < size && text[end] != '\n')
            end++;
        size_t length = end - at - (end > at && text[end - 1] == '\r');
        const char *colon = memchr(text + at, ':', length);
        for (size_t i = 0; colon && i < length; i++) {
            char byte = text[at + i];
            bool name = text + at + i < colon;
            byte = name && byte >= 'A' && byte <= 'Z' ? (char)(byte | 32) : byte;
            buf_add(out, &byte, 1);
        }
        buf_puts(out, colon ? "\n" : "");
        at = end + 1;
    }
}

static int read_answer(struct ws *ws, const char *key, struct deadline deadline,
                       struct sbx_error *err)
{
    const char *end = NULL;
    while (!end) {
        int code = ws->in.size > ANSWER_MAX
                       ? err_set(err, SBX_ERR_PROTOCOL, "the answer's headers have no end")
                       : read_more(ws, deadline, err);
        if (code < 0)
            return code;
        end = memmem(ws->in.data, ws->in.size, "\r\n\r\n", 4);
    }
    size_t size = (size_t)(end + 4 - ws->in.data);
    char want[32], got[64] = "";
    cleanup_reply struct http_reply reply = {.headers = BUF_INIT(2 * ANSWER_MAX)};
    copy_headers(ws->in.data, size, &reply.headers);
    if (size > 12 && memcmp(ws->in.data, "HTTP/1.", 7) == 0)
        reply.status = atoi(ws->in.data + 9);
    ws->at = size;
    if (reply.status != 101)
        return status_error("cannot open the stream", &reply, err);
    ws_accept(key, want);
    http_header_get(&reply.headers, "sec-websocket-accept", got, sizeof(got));
    return strcmp(want, got) == 0
               ? 0
               : err_set(err, SBX_ERR_PROTOCOL, "the service does not speak WebSocket");
}

void ws_close(struct ws *ws)
{
    if (!ws)
        return;
    http_stream_close(ws->stream);
    buf_deinit(&ws->in);
    buf_deinit(&ws->message);
    free(ws);
}

int ws_open(struct http *http, const struct ws_request *request, struct deadline deadline,
            struct ws **ret_ws, struct sbx_error *err)
{
    unsigned char random[16];
    cleanup_buf struct buf key = BUF_INIT(64);
    struct http_request bare = {.method = "GET", .url = request->url, .flags = HTTP_SOCKET};
    struct ws *ws = calloc(1, sizeof(*ws));
    int status, code = !ws || id_random(random, sizeof(random)) < 0 ? err_nomem(err) : 0;
    base64_encode(&key, random, sizeof(random));
    if (code == 0 && !buf_text(&key))
        code = err_nomem(err);
    if (code == 0) {
        ws->in.limit = WS_MESSAGE_MAX + (1u << 20);
        ws->message.limit = WS_MESSAGE_MAX;
        code = http_start(http, &bare, &ws->stream, err);
    }
    if (code == 0)
        code = http_wait(ws->stream, deadline, &status, err);
    if (code == 0)
        code = send_request(ws, request, key.data, deadline, err);
    if (code == 0)
        code = read_answer(ws, key.data, deadline, err);
    if (code < 0) {
        ws_close(ws);
        return code;
    }
    *ret_ws = ws;
    return 0;
}

int ws_send(struct ws *ws, enum ws_kind kind, const void *data, size_t size,
            struct deadline deadline, struct sbx_error *err)
{
    cleanup_buf struct buf frame = BUF_INIT(size + 32);
    unsigned char mask[4];
    if (id_random(mask, sizeof(mask)) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a mask");
    ws_frame_put(&frame, kind, data, size, mask);
    return frame.failed ? err_nomem(err)
                        : http_send(ws->stream, frame.data, frame.size, deadline, err);
}

static int bad(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the service sent a frame that makes no sense");
}

// One frame. True (1) when a message or close is complete in `message`.
static int take(struct ws *ws, const struct ws_frame *frame, struct deadline deadline,
                struct ws_frame *message, struct sbx_error *err)
{
    if (frame->opcode == WS_PING)
        return ws_send(ws, WS_PONG, frame->data, frame->size, deadline, err);
    if (frame->opcode == WS_PONG)
        return 0;
    *message = *frame;
    if (frame->opcode == WS_CLOSE) {
        ws->closed = true;
        return 1;
    }
    if ((frame->opcode == 0) != (ws->kind != 0))
        return bad(err);
    if (frame->opcode && frame->final)
        return 1;
    if (frame->opcode) {
        ws->kind = frame->opcode;
        ws->message.size = 0;
    }
    buf_add(&ws->message, frame->data, frame->size);
    if (ws->message.failed)
        return bad(err);
    if (!frame->final)
        return 0;
    *message = (struct ws_frame){true, ws->kind, ws->message.data ? ws->message.data : "",
                                 ws->message.size};
    ws->kind = 0;
    return 1;
}

int ws_read(struct ws *ws, struct deadline deadline, enum ws_kind *ret_kind, const char **ret_data,
            size_t *ret_size, struct sbx_error *err)
{
    struct ws_frame frame, message = {0};
    if (ws->closed)
        return err_set(err, SBX_ERR_UNAVAILABLE, "the stream was closed");
    for (;;) {
        const char *data = ws->in.data ? ws->in.data + ws->at : "";
        long taken = ws_frame_take(data, ws->in.size - ws->at, &frame);
        if (taken < 0)
            return bad(err);
        int code = taken == 0 ? read_more(ws, deadline, err) : 0;
        if (code < 0)
            return code;
        if (taken == 0)
            continue;
        ws->at += (size_t)taken;
        code = take(ws, &frame, deadline, &message, err);
        if (code < 0)
            return code;
        if (code > 0) {
            *ret_kind = (enum ws_kind)message.opcode;
            *ret_data = message.data;
            *ret_size = message.size;
            return 0;
        }
    }
}
