// SPDX-License-Identifier: Apache-2.0
// WebSockets: handshake, messages, and the thread each runs on. Layer: httpd.
#include "httpd/ws.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/base64.h"
#include "base/sha1.h"
#include "base/thread.h"
#include "httpd/ws_list.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, section 1.3
#define RECEIVE_SIZE (16 * 1024)
#define FRAME_PATIENCE_MS 30000 // for the rest of a frame that has begun
#define CONTROL_MAX 125

enum opcode {
    OP_CONTINUE = 0,
    OP_TEXT = 1,
    OP_BINARY = 2,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10
};

struct ws {
    struct httpd *server;
    struct ws *previous, *next; // server->sockets
    int fd;                     // libmicrohttpd's
    struct MHD_UpgradeResponseHandle *handle;
    pthread_t thread; // ours, when started
    bool raw;         // no frames of ours
    bool started;
    void (*run)(struct ws *ws, void *payload);
    void (*release)(void *payload); // when it never runs
    void *payload;
    pthread_mutex_t send_lock;
    bool closed; // our close has been sent; guarded by send_lock
    uint8_t received[RECEIVE_SIZE];
    size_t start, end;
    struct buf message;
    int kind; // of the message that is being put together, or 0
};

int ws_parse_head(const uint8_t *data, size_t size, struct ws_frame *ret_frame)
{
    if (size < 2)
        return 0;
    unsigned opcode = data[0] & 15, length = data[1] & 127;
    bool control = opcode >= OP_CLOSE;
    bool known = opcode <= OP_BINARY || (control && opcode <= OP_PONG);
    // No extension was agreed on; clients must mask; control frames are short and whole.
    if ((data[0] & 0x70) || !(data[1] & 0x80) || !known)
        return -1;
    if (control && (length > CONTROL_MAX || !(data[0] & 0x80)))
        return -1;
    size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0, head = 2 + extra + 4;
    if (size < head)
        return 0;
    uint64_t payload = length;
    for (size_t i = 0; i < extra; i++)
        payload = (i ? payload << 8 : 0) | data[2 + i];
    if (extra == 8 && data[2] & 0x80)
        return -1;
    *ret_frame = (struct ws_frame){data[0] & 0x80, opcode, payload, head, {0}};
    memcpy(ret_frame->mask, data + head - 4, 4);
    return (int)head;
}

static int wait_for(struct ws *ws, short events, int timeout_ms)
{
    struct pollfd poll_fd = {ws->fd, events, 0};
    int ready;
    do
        ready = poll(&poll_fd, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready;
}

// More bytes behind those that are there: 1, 0 when none came in time, negative at the end.
static int receive(struct ws *ws, int timeout_ms)
{
    if (ws->start > 0) {
        memmove(ws->received, ws->received + ws->start, ws->end - ws->start);
        ws->end -= ws->start;
        ws->start = 0;
    }
    for (;;) {
        ssize_t got = recv(ws->fd, ws->received + ws->end, RECEIVE_SIZE - ws->end, MSG_DONTWAIT);
        if (got > 0) {
            ws->end += (size_t)got;
            return 1;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return -1;
        int ready = wait_for(ws, POLLIN, timeout_ms);
        if (ready <= 0)
            return ready;
    }
}

// The head of the next frame, taken off the bytes: 1, 0 or negative as receive().
static int next_head(struct ws *ws, int timeout_ms, struct ws_frame *ret_frame)
{
    for (;;) {
        int head = ws_parse_head(ws->received + ws->start, ws->end - ws->start, ret_frame);
        if (head < 0)
            return -1;
        if (head > 0) {
            ws->start += (size_t)head;
            return 1;
        }
        int got = receive(ws, ws->end > ws->start ? FRAME_PATIENCE_MS : timeout_ms);
        if (got <= 0)
            return ws->end > ws->start ? -1 : got;
    }
}

// The frame's payload, unmasked, to the end of `buf`.
static int take_payload(struct ws *ws, const struct ws_frame *frame, struct buf *buf)
{
    for (uint64_t done = 0; done < frame->size;) {
        if (ws->start == ws->end && receive(ws, FRAME_PATIENCE_MS) <= 0)
            return -1;
        size_t size = ws->end - ws->start;
        if (size > frame->size - done)
            size = (size_t)(frame->size - done);
        uint8_t *data = ws->received + ws->start;
        for (size_t i = 0; i < size; i++)
            data[i] ^= frame->mask[(done + i) & 3];
        buf_add(buf, data, size);
        ws->start += size;
        done += size;
    }
    return buf->failed ? -1 : 0;
}

static int send_all(struct ws *ws, struct iovec *parts, size_t count)
{
    while (count > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t sent = sendmsg(ws->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (sent < 0 && (wait_for(ws, POLLOUT, -1) < 0))
            return -1;
        size_t left = sent < 0 ? 0 : (size_t)sent;
        while (count > 0 && left >= parts->iov_len) {
            left -= parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + left;
            parts->iov_len -= left;
        }
    }
    return 0;
}

static int send_frame(struct ws *ws, unsigned opcode, const void *data, size_t size)
{
    uint8_t head[10] = {(uint8_t)(0x80 | opcode)};
    size_t head_size = size < 126 ? 2 : size < 65536 ? 4 : 10;
    head[1] = (uint8_t)(size < 126 ? size : size < 65536 ? 126 : 127);
    for (size_t i = 2; i < head_size; i++)
        head[i] = (uint8_t)((uint64_t)size >> (8 * (head_size - 1 - i)));
    struct iovec parts[] = {{head, head_size}, {(void *)(uintptr_t)data, size}};
    pthread_mutex_lock(&ws->send_lock);
    int result = ws->closed ? -1 : send_all(ws, parts, size ? 2 : 1);
    if (opcode == OP_CLOSE)
        ws->closed = true;
    pthread_mutex_unlock(&ws->send_lock);
    return result;
}

int ws_send(struct ws *ws, enum ws_kind kind, const void *data, size_t size)
{
    return send_frame(ws, kind, data, size);
}

void ws_close(struct ws *ws, unsigned status, const char *reason)
{
    char data[CONTROL_MAX];
    size_t size = reason ? strlen(reason) : 0;
    if (size > sizeof(data) - 2)
        size = sizeof(data) - 2;
    data[0] = (char)(status >> 8);
    data[1] = (char)status;
    if (size)
        memcpy(data + 2, reason, size); // NOLINT(bugprone-not-null-terminated-result)
    send_frame(ws, OP_CLOSE, data, size + 2);
}

static int take_control(struct ws *ws, const struct ws_frame *frame)
{
    cleanup_buf struct buf data = BUF_INIT(CONTROL_MAX + 1);
    if (take_payload(ws, frame, &data) < 0)
        return -1;
    if (frame->opcode == OP_PING)
        return send_frame(ws, OP_PONG, data.data ? data.data : "", data.size);
    if (frame->opcode == OP_CLOSE) {
        ws_close(ws, WS_NORMAL, NULL);
        return -1;
    }
    return 0;
}

static int refuse(struct ws *ws, unsigned status)
{
    ws_close(ws, status, NULL);
    return -1;
}

// One data frame; 1 when it completes a message.
static int take_data(struct ws *ws, const struct ws_frame *frame)
{
    bool continues = frame->opcode == OP_CONTINUE;
    if (continues != (ws->kind != 0))
        return refuse(ws, WS_PROTOCOL);
    if (!continues)
        ws->kind = (int)frame->opcode;
    if (frame->size > WS_MESSAGE_MAX - ws->message.size)
        return refuse(ws, WS_TOO_BIG);
    if (take_payload(ws, frame, &ws->message) < 0)
        return -1;
    return frame->final;
}

ssize_t ws_read(struct ws *ws, int timeout_ms, int *ret_kind, const char **ret_data)
{
    struct ws_frame frame;
    if (ws->kind == 0)
        ws->message.size = 0;
    for (;;) {
        int got = next_head(ws, timeout_ms, &frame);
        if (got < 0)
            return refuse(ws, WS_PROTOCOL);
        if (got == 0) {
            *ret_kind = 0;
            return 0;
        }
        got = frame.opcode >= OP_CLOSE ? take_control(ws, &frame) : take_data(ws, &frame);
        if (got < 0)
            return -1;
        if (got > 0)
            break;
    }
    *ret_kind = ws->kind;
    *ret_data = ws->message.data ? ws->message.data : "";
    ws->kind = 0;
    return (ssize_t)ws->message.size;
}

void ws_shutdown(struct ws *ws)
{
    shutdown(ws->fd, SHUT_RDWR);
}

static void enlist(struct ws *ws)
{
    struct httpd *server = ws->server;
    pthread_mutex_lock(&server->lock);
    ws->next = server->sockets;
    if (ws->next)
        ws->next->previous = ws;
    server->sockets = ws;
    if (httpd_stopping(server))
        ws_shutdown(ws);
    pthread_mutex_unlock(&server->lock);
}

static void unlist(struct ws *ws)
{
    struct httpd *server = ws->server;
    pthread_mutex_lock(&server->lock);
    if (ws->previous)
        ws->previous->next = ws->next;
    else
        server->sockets = ws->next;
    if (ws->next)
        ws->next->previous = ws->previous;
    pthread_mutex_unlock(&server->lock);
}

void ws_list_shutdown(struct httpd *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct ws *ws = server->sockets; ws; ws = ws->next)
        ws_shutdown(ws);
    pthread_mutex_unlock(&server->lock);
}

static void ws_free(struct ws *ws)
{
    if (ws->release)
        ws->release(ws->payload);
    pthread_mutex_destroy(&ws->send_lock);
    buf_deinit(&ws->message);
    free(ws);
}

static void end(struct ws *ws)
{
    struct httpd *server = ws->server;
    unlist(ws);
    MHD_upgrade_action(ws->handle, MHD_UPGRADE_ACTION_CLOSE);
    ws_free(ws);
    atomic_fetch_sub(&server->active, 1);
}

/*
 * The connection is closed by libmicrohttpd's own thread of it, at that thread's end, which the
 * destructor of a value of its own tells. Both that thread and MHD_upgrade_action() first set a
 * flag and then touch the connection once more (MHD_resume_connection()); as soon as both flags are
 * set another thread may free it, but only after it has joined this one. Closed from anywhere else,
 * freed memory was written to now and then.
 */
static pthread_once_t connection_once = PTHREAD_ONCE_INIT;
static pthread_key_t connection_key;
static bool have_key;

static void end_connection(void *value)
{
    struct ws *ws = value;
    if (ws->started)
        pthread_join(ws->thread, NULL);
    end(ws);
}

static void make_key(void)
{
    have_key = pthread_key_create(&connection_key, end_connection) == 0;
}

static void *thread(void *argument)
{
    struct ws *ws = argument;
    ws->release = NULL;
    ws->run(ws, ws->payload);
    if (!ws->raw)
        ws_close(ws, WS_NORMAL, NULL);
    ws_shutdown(ws); // with TLS, libmicrohttpd's thread carries on until then
    return NULL;
}

static void upgraded(void *cls, struct MHD_Connection *connection, void *con_cls, const char *extra,
                     size_t extra_size, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    struct ws *ws = cls;
    ws->fd = fd;
    ws->handle = handle;
    atomic_fetch_add(&ws->server->active, 1);
    enlist(ws);
    if (extra_size <= RECEIVE_SIZE) {
        memcpy(ws->received, extra, extra_size);
        ws->end = extra_size;
    }
    pthread_once(&connection_once, make_key);
    if (!have_key || pthread_setspecific(connection_key, ws) != 0) {
        end(ws); // without memory: as good as it gets
        return;
    }
    ws->started = extra_size <= RECEIVE_SIZE && thread_start(&ws->thread, thread, ws) == 0;
    if (!ws->started)
        ws_shutdown(ws);
}

static bool is_handshake(const struct httpd_request *request)
{
    const char *upgrade = httpd_header(request, "Upgrade");
    const char *connection = httpd_header(request, "Connection");
    const char *version = httpd_header(request, "Sec-WebSocket-Version");
    const char *key = httpd_header(request, "Sec-WebSocket-Key");
    return upgrade && strcasecmp(upgrade, "websocket") == 0 && connection &&
           strcasestr(connection, "upgrade") && version && strcmp(version, "13") == 0 && key &&
           strlen(key) == 24;
}

static void add_accept(struct httpd_request *request)
{
    const char *key = httpd_header(request, "Sec-WebSocket-Key");
    uint8_t digest[SHA1_SIZE];
    struct sha1 hash;
    sha1_init(&hash);
    sha1_update(&hash, key, strlen(key));
    sha1_update(&hash, GUID, strlen(GUID));
    sha1_end(&hash, digest);
    cleanup_buf struct buf value = BUF_INIT(64);
    base64_encode(&value, digest, sizeof(digest));
    const char *accept = buf_text(&value);
    if (accept)
        httpd_add_header(request, "Sec-WebSocket-Accept", accept);
    httpd_add_header(request, "Upgrade", "websocket");
}

static struct ws *ws_new(struct httpd_request *request)
{
    struct ws *ws = calloc(1, sizeof(*ws));
    if (!ws)
        return NULL;
    ws->server = request->server;
    ws->message = (struct buf)BUF_INIT(WS_MESSAGE_MAX + 1);
    pthread_mutex_init(&ws->send_lock, NULL);
    return ws;
}

static void queue_upgrade(struct httpd_request *request, struct MHD_Response *response)
{
    for (size_t i = 0; i < request->header_count; i++)
        MHD_add_response_header(response, request->headers[i].name, request->headers[i].value);
    request->replied = true;
    request->status = MHD_HTTP_SWITCHING_PROTOCOLS;
    request->response = response;
}

// NULL after a refusal, when release has been called.
static struct ws *switch_protocol(struct httpd_request *request, bool may,
                                  void (*run)(struct ws *ws, void *payload),
                                  void (*release)(void *payload), void *payload)
{
    struct ws *ws = may ? ws_new(request) : NULL;
    struct MHD_Response *response = ws ? MHD_create_response_for_upgrade(upgraded, ws) : NULL;
    if (!response) {
        if (ws)
            ws_free(ws);
        if (release)
            release(payload);
        return NULL;
    }
    ws->run = run;
    ws->release = release;
    ws->payload = payload;
    request->response = response;
    return ws;
}

bool ws_accept(struct httpd_request *request, const char *protocol,
               void (*run)(struct ws *ws, void *payload), void (*release)(void *payload),
               void *payload)
{
    bool handshake = is_handshake(request);
    if (!switch_protocol(request, handshake, run, release, payload)) {
        if (!handshake)
            httpd_add_header(request, "Upgrade", "websocket");
        httpd_fail(request, handshake ? 503 : 426,
                   handshake ? "memory is short" : "this is a WebSocket");
        return false;
    }
    add_accept(request);
    if (protocol)
        httpd_add_header(request, "Sec-WebSocket-Protocol", protocol);
    queue_upgrade(request, request->response);
    return true;
}

bool ws_tunnel(struct httpd_request *request, void (*run)(struct ws *ws, void *payload),
               void (*release)(void *payload), void *payload)
{
    struct ws *ws = switch_protocol(request, true, run, release, payload);
    if (!ws) {
        httpd_fail(request, 503, "memory is short");
        return false;
    }
    ws->raw = true;
    queue_upgrade(request, request->response);
    return true;
}

int ws_tunnel_fd(const struct ws *ws)
{
    return ws->fd;
}

int ws_tunnel_write(struct ws *ws, const void *data, size_t size)
{
    struct iovec part = {(void *)(uintptr_t)data, size};
    return send_all(ws, &part, size > 0);
}

const char *ws_tunnel_pending(const struct ws *ws, size_t *ret_size)
{
    *ret_size = ws->end - ws->start;
    return (const char *)ws->received + ws->start;
}
