// SPDX-License-Identifier: Apache-2.0
/*
 * WebSocket client (RFC 6455) over a bare connection of the HTTP client, since libcurl has one only
 * in recent versions. No extensions. Layer: net.
 */
#pragma once

#include "net/http.h"

#define WS_MESSAGE_MAX (4u << 20)
enum ws_kind { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

struct ws_request {
    const char *url; // http:// or https://
    const struct http_header *headers;
    size_t header_count;
};

struct ws;
int ws_open(struct http *http, const struct ws_request *request, struct deadline deadline,
            struct ws **ret_ws, struct sbx_error *err);

/*
 * The next message: TEXT or BINARY, whole, valid until the next call; or CLOSE, whose first two
 * bytes, if any, are its code, and after which nothing comes. After a TIMEOUT or CANCELLED it can
 * be called again. PROTOCOL for frames that make no sense; a connection that breaks is UNAVAILABLE.
 */
int ws_read(struct ws *ws, struct deadline deadline, enum ws_kind *ret_kind, const char **ret_data,
            size_t *ret_size, struct sbx_error *err);
int ws_send(struct ws *ws, enum ws_kind kind, const void *data, size_t size,
            struct deadline deadline, struct sbx_error *err);
void ws_close(struct ws *ws);

// The first frame of a server in what has come: the bytes it takes, 0 when it is not yet whole, -1
// when it is not acceptable.
struct ws_frame {
    bool final;
    unsigned opcode;
    const char *data;
    size_t size;
};
long ws_frame_take(const char *data, size_t size, struct ws_frame *ret_frame);
// A client's frame, with this mask.
void ws_frame_put(struct buf *out, enum ws_kind kind, const void *data, size_t size,
                  const unsigned char mask[4]);
// The answer to a key (RFC 6455, section 4.2.2).
void ws_accept(const char *key, char ret_text[32]);
