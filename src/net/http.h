// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP client. One I/O thread owns all connections (libcurl's multi handle), so callers of all
 * threads share them; it starts with the first request. Calls block with a deadline and a cancel
 * token, whichever thread makes them.
 *
 * Nothing is sent twice unless the request says that it may be, or surely never left. Redirects
 * are not followed: a key must not travel to another host. Secrets never reach the log
 * (net/redact.h). Layer: net.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

struct http; // a pool of connections

struct http_options {
    const char *user_agent;
    const char *ca_file; // PEM; NULL: SSL_CERT_FILE, CURL_CA_BUNDLE, the system's
    const char *proxy;   // NULL: https_proxy, http_proxy, no_proxy of the environment
    int64_t connect_ms;  // to reach a host, TLS included; 0: 30 s
    int64_t kept_s;      // after which idle connections are not used again; 0: 118
};

// Strings are copied.
int http_open(const struct http_options *options, struct http **ret_http, struct sbx_error *err);
// After the last stream is closed.
void http_close(struct http *http);

struct http_header {
    const char *name;
    const char *value; // NULL: the header is left out
};

enum http_flags {
    HTTP_IDEMPOTENT = 1 << 0, // may be sent again when its connection broke
    HTTP_UPLOAD = 1 << 1,     // the body is what http_send() brings, not `body`
    HTTP_STEADY = 1 << 3,     // a minute without a byte either way breaks it off
    HTTP_SOCKET = 1 << 2      // a bare connection to the URL's host: bytes both ways, no HTTP
};

#define HTTP_UNKNOWN_SIZE (-1)
#define HTTP_REPLY_MAX (16u << 20) // of http_call(), unless the request says otherwise

struct http_request {
    const char *method;
    const char *url;
    const struct http_header *headers;
    size_t header_count;
    const void *body; // copied
    size_t body_size;
    int64_t upload_size; // with HTTP_UPLOAD: the body's size or HTTP_UNKNOWN_SIZE
    uint32_t flags;      // enum http_flags
    size_t reply_max;    // of http_call(); 0: HTTP_REPLY_MAX
};

struct http_reply {
    int status;
    struct buf body;
    struct buf headers; // "name: value\n" lines, names in lower case
};
#define HTTP_REPLY_INIT                                                                            \
    {                                                                                              \
        0                                                                                          \
    }
void http_reply_deinit(struct http_reply *reply);
#define cleanup_reply cleanup(http_reply_deinit)

// The whole exchange, whatever the status is. An idempotent request is tried up to 3 times.
int http_call(struct http *http, const struct http_request *request, struct deadline deadline,
              struct http_reply *ret_reply, struct sbx_error *err);

// The first header of that name (in lower case) copied to `value`; false when absent or too long.
bool http_header_get(const struct buf *headers, const char *name, char *value, size_t size);

/*
 * A request whose bodies come and go piece by piece. A reader that stops makes the server wait;
 * at most a few hundred KiB are held. One thread may send while another reads.
 */
struct http_stream;
int http_start(struct http *http, const struct http_request *request,
               struct http_stream **ret_stream, struct sbx_error *err);
// Waits for status and headers, or the connection of HTTP_SOCKET (status 0).
int http_wait(struct http_stream *stream, struct deadline deadline, int *ret_status,
              struct sbx_error *err);
const struct buf *http_headers(const struct http_stream *stream); // after http_wait()
// 0 and *ret_size 0 is the body's end.
int http_read(struct http_stream *stream, void *data, size_t size, struct deadline deadline,
              size_t *ret_size, struct sbx_error *err);
// As http_read(), appends what is there to `data` up to its limit, past which it is QUOTA.
int http_read_all(struct http_stream *stream, struct buf *data, struct deadline deadline,
                  struct sbx_error *err);
int http_send(struct http_stream *stream, const void *data, size_t size, struct deadline deadline,
              struct sbx_error *err);
// The upload is complete.
void http_send_end(struct http_stream *stream);
// Breaks off what is still going on.
void http_stream_close(struct http_stream *stream);
static inline void http_stream_cleanup(struct http_stream **stream)
{
    http_stream_close(*stream);
}
#define cleanup_stream cleanup(http_stream_cleanup)
