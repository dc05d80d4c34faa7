// SPDX-License-Identifier: Apache-2.0
/*
 * The server's side of the Connect protocol (https://connectrpc.com/docs/protocol) with JSON:
 * unary calls, streams of messages in envelopes, errors. Layer: serve.
 */
#pragma once

#include "httpd/httpd.h"
#include "net/json.h"

#define CONNECT_HEAD 5
#define CONNECT_END 2
#define CONNECT_MESSAGE_MAX (8 * 1024 * 1024)

// Code as the protocol names it, and its HTTP status, for an error of the library.
const char *connect_code(const struct sbx_error *err);
unsigned connect_status(const char *code);

void connect_fail(struct httpd_request *request, const char *code, const char *message);
void connect_fail_err(struct httpd_request *request, const struct sbx_error *err);

// The message of a unary call, or of a stream's only request. False when it has replied.
bool connect_unary(struct httpd_request *request, struct jsonv **ret_message);
bool connect_first(struct httpd_request *request, struct jsonv **ret_message);
void connect_reply(struct httpd_request *request, struct buf *message);
void connect_reply_empty(struct httpd_request *request);

// One envelope around what was added to `out` since `start` bytes, which must have left room for
// the head: connect_open() returns `start`.
size_t connect_open(struct buf *out);
void connect_close(struct buf *out, size_t start, unsigned flags);
// The last envelope; code NULL: all went well.
void connect_end(struct buf *out, const char *code, const char *message);

// The head of an envelope: 1, 0 when more bytes are needed, negative when it can't be served.
int connect_parse_head(const uint8_t *data, size_t size, unsigned *ret_flags, uint32_t *ret_size);

// connect-timeout-ms and keepalive-ping-interval.
int64_t connect_timeout_ms(const struct httpd_request *request);
int64_t connect_keepalive_ms(const struct httpd_request *request);
