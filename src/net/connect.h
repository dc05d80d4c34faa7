// SPDX-License-Identifier: Apache-2.0
/*
 * Connect RPC (https://connectrpc.com/docs/protocol) with JSON messages: single calls and calls
 * with a stream of answers. Layer: net.
 */
#pragma once

#include "net/http.h"
#include "net/json.h"

#define CONNECT_MESSAGE_MAX (4u << 20) // one message of a stream

// A call. `url` ends in /package.Service/Method.
struct connect_request {
    struct http *http;
    const char *url;
    const struct http_header *headers; // beside those of the protocol
    size_t header_count;
    const char *message; // JSON
    size_t message_size;
    bool idempotent;
};

/*
 * The answer to one message. Failures of the service are its own code and words: NOT_FOUND and so
 * on; with err->http_status. `what` begins the message.
 */
int connect_call(const struct connect_request *request, const char *what, struct deadline deadline,
                 struct jsonv **ret_answer, struct sbx_error *err);

struct connect_stream;
int connect_open(const struct connect_request *request, const char *what, struct deadline deadline,
                 struct connect_stream **ret_stream, struct sbx_error *err);

/*
 * The next message as text, valid until the next call; NULL at the end that the service has told.
 * A stream that is cut before is UNAVAILABLE. After a TIMEOUT or CANCELLED it can be called again.
 */
int connect_next(struct connect_stream *stream, struct deadline deadline, const char **ret_message,
                 size_t *ret_size, struct sbx_error *err);
void connect_close(struct connect_stream *stream);

// The code of this name, e.g. "not_found"; UNAVAILABLE for unknown ones.
int connect_code(const char *name);

// The first frame of what has come: the bytes that it takes, 0 when it is not yet whole, -1 when it
// is not acceptable.
struct connect_frame {
    unsigned flags; // CONNECT_END and others
    const char *data;
    size_t size;
};
#define CONNECT_COMPRESSED 1u
#define CONNECT_END 2u
#define CONNECT_HEADER 5
long connect_frame_take(const char *data, size_t size, struct connect_frame *ret_frame);
void connect_frame_put(struct buf *out, unsigned flags, const char *data, size_t size);
