// SPDX-License-Identifier: Apache-2.0
// The server's side of WebSockets (RFC 6455): the handshake, and whole messages. Layer: httpd.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpd/httpd.h"

struct ws;

#define WS_MESSAGE_MAX (1024 * 1024)

enum ws_kind { WS_TEXT = 1, WS_BINARY = 2 };

enum ws_status {
    WS_NORMAL = 1000,
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL = 1002,
    WS_TOO_BIG = 1009,
    WS_FAILED = 1011
};

/*
 * Answers the request with 101 and calls run on a thread of its own; the connection is closed when
 * that returns. protocol: the chosen one of Sec-WebSocket-Protocol, or NULL. run owns payload. When
 * the request is no handshake it is refused, release is called, and false returned.
 */
bool ws_accept(struct httpd_request *request, const char *protocol,
               void (*run)(struct ws *ws, void *payload), void (*release)(void *payload),
               void *payload);

/*
 * The same for a handshake that somebody else has answered: the reply's headers are the caller's,
 * and no frame is read or written here. run carries bytes between ws_tunnel_fd() and the other
 * side, beginning with those that are pending; it ends when the descriptor does.
 */
bool ws_tunnel(struct httpd_request *request, void (*run)(struct ws *ws, void *payload),
               void (*release)(void *payload), void *payload);
int ws_tunnel_fd(const struct ws *ws);
// All of it to the client, whose socket does not wait by itself. 0, or -1.
int ws_tunnel_write(struct ws *ws, const void *data, size_t size);
const char *ws_tunnel_pending(const struct ws *ws, size_t *ret_size);

/*
 * The next message: its size, 0 and *ret_kind 0 when none came within timeout_ms (-1: for ever).
 * Negative: the other side has closed, or broke the rules. Pings are answered on the way. Data is
 * valid until the next call. One thread reads, any may send.
 */
ssize_t ws_read(struct ws *ws, int timeout_ms, int *ret_kind, const char **ret_data);

// 0, or negative when the other side is gone. Blocks while it does not read.
int ws_send(struct ws *ws, enum ws_kind kind, const void *data, size_t size);
void ws_close(struct ws *ws, unsigned status, const char *reason);

// Makes a blocked ws_read() and ws_send() fail.
void ws_shutdown(struct ws *ws);

// One frame out of raw bytes, for tests: bytes taken, 0 when more are needed, negative when broken.
struct ws_frame {
    bool final;
    unsigned opcode;
    uint64_t size;
    size_t head; // bytes before the payload
    uint8_t mask[4];
};
int ws_parse_head(const uint8_t *data, size_t size, struct ws_frame *ret_frame);
