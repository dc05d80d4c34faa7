// SPDX-License-Identifier: Apache-2.0
/*
 * An HTTP/1.1 server over libmicrohttpd: tables of routes, bodies with a ceiling or streamed,
 * replies from memory, files or a source that may block, WebSockets, request ids, an access log.
 *
 * One thread a connection: handlers, sinks and sources may block, and that is how a slow reader
 * slows down what it reads. What blocks for long looks at httpd_gone() now and then, or hands
 * httpd_cancel() to the library's calls, so that a stop takes no longer than its grace. Layer:
 * httpd.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <sandboxes/types.h>

#include "base/buf.h"
#include "base/error.h"

struct httpd;
struct httpd_request;

typedef void (*httpd_handler)(struct httpd_request *request);

/*
 * One row of a table. `{name}` in a pattern takes one part of the path, a last part `*` takes the
 * rest (parameter "*"). method "*" takes any. The first row that fits is taken.
 */
struct httpd_route {
    const char *method;
    const char *pattern;
    httpd_handler handler; // when the whole body is there
    httpd_handler begin;   // before the body; may install a sink or reply at once; NULL: none
    size_t body_limit;     // bytes kept in memory or given to the sink; 0: the server's
    const void *data;      // httpd_route_data()
};

// Routes with their own rules. authorize has replied when it says no; fail replies in the form of
// this API (404, 405, 413, ...); NULL: plain JSON.
struct httpd_site {
    const struct httpd_route *routes;
    size_t route_count;
    bool (*authorize)(struct httpd_request *request); // before the body is read; NULL: all may
    void (*fail)(struct httpd_request *request, unsigned status, const char *message);
    bool foreign; // pages of other sites may ask: who may is not for this server to say
};

struct httpd_options {
    const struct httpd_site *site; // when select is NULL or says NULL
    const struct httpd_site *(*select)(struct httpd_request *request);
    void *context;                    // httpd_context()
    const char *address;              // numeric; NULL: 127.0.0.1
    uint16_t port;                    // 0: any free one, see httpd_port()
    int listen_fd;                    // a listening socket to take over, or -1
    const char *cert_file, *key_file; // both: TLS
    const char *const *hosts;         // names besides loopback ones and addresses: "a.b", "*.a.b"
    size_t host_count;                // Host and Origin must fit; others are refused with 403
    unsigned connection_limit, per_peer; // 0: 1024, and no limit of its own
    unsigned idle_seconds;               // a silent connection ends; 0: 300
    size_t body_limit;                   // 0: 1 MiB
    // One JSON object a finished request, without its newline. NULL: none.
    void (*access_log)(void *context, const char *line);
};

#define HTTPD_OPTIONS_INIT                                                                         \
    {                                                                                              \
        .listen_fd = -1                                                                            \
    }

// Errors: INVALID (address, certificate), CONFLICT (port taken), DENIED, NOMEM, IO.
int httpd_start(const struct httpd_options *options, struct httpd **ret_server,
                struct sbx_error *err);
uint16_t httpd_port(const struct httpd *server);
const char *httpd_scheme(const struct httpd *server); // "http" or "https"

// Takes no new requests, lets running ones end for that long, then cancels them; all is freed.
void httpd_stop(struct httpd *server, int64_t grace_ms);
bool httpd_stopping(const struct httpd *server);

// The first socket that the service manager passed (sd_listen_fds(3)), or -1.
int httpd_activated_fd(void);

struct httpd_stats {
    uint64_t requests, failures; // failures: status 500 and above
    uint64_t refused;            // 401, 403 and 429
    uint32_t active;             // now, WebSockets included
};
void httpd_stats(const struct httpd *server, struct httpd_stats *ret_stats);

// --- What a request is. Strings live as long as it does. NULL where there is none.

void *httpd_context(const struct httpd_request *request);
const void *httpd_route_data(const struct httpd_request *request);
struct httpd *httpd_server(const struct httpd_request *request);
const char *httpd_id(const struct httpd_request *request); // also X-Request-Id of the reply
const char *httpd_method(const struct httpd_request *request);
const char *httpd_path(const struct httpd_request *request); // decoded
const char *httpd_uri(const struct httpd_request *request);  // as sent, with its query
const char *httpd_peer(const struct httpd_request *request); // address without port
const char *
httpd_host(const struct httpd_request *request); // of the header, without port; lower case
const char *httpd_param(const struct httpd_request *request, const char *name);
const char *httpd_query(const struct httpd_request *request, const char *name);
const char *httpd_header(const struct httpd_request *request, const char *name);
void httpd_each_header(const struct httpd_request *request,
                       void (*take)(void *payload, const char *name, const char *value),
                       void *payload);
void httpd_each_query(const struct httpd_request *request,
                      void (*take)(void *payload, const char *name, const char *value),
                      void *payload);
const char *httpd_body(const struct httpd_request *request, size_t *ret_size); // ends in a NUL

// Authorization: Bearer; NULL if there is none.
const char *httpd_bearer(const struct httpd_request *request);

// Triggered when the server gives up waiting for running requests.
struct sbx_cancel *httpd_cancel(const struct httpd_request *request);
// The client has hung up, or the server stops. Costs a system call.
bool httpd_gone(const struct httpd_request *request);

// Anything of the handler's, released with the request.
void httpd_set_state(struct httpd_request *request, void *state, void (*release)(void *state));
void *httpd_state(const struct httpd_request *request);

// Who asks, for the access log.
void httpd_set_user(struct httpd_request *request, const char *user);
const char *httpd_user(const struct httpd_request *request);

// In `begin`: the body goes there piece by piece instead of into memory. A negative answer
// discards the rest; the handler is called all the same.
void httpd_set_sink(struct httpd_request *request,
                    int (*take)(void *payload, const void *data, size_t size), void *payload);
bool httpd_sink_failed(const struct httpd_request *request);

// One piece of a part of multipart/form-data; `first` when a part begins. Strings may be NULL.
struct httpd_part {
    const char *name, *file_name;
    const void *data;
    size_t size;
    bool first;
};

// In `begin`, as httpd_set_sink(): false when the body is no multipart/form-data.
bool httpd_set_part_sink(struct httpd_request *request,
                         int (*take)(void *payload, const struct httpd_part *part), void *payload);

// --- Replies: exactly one a request. Headers come before it.

void httpd_add_header(struct httpd_request *request, const char *name, const char *value);
void httpd_reply(struct httpd_request *request, unsigned status, const char *type, const void *data,
                 size_t size); // copies
void httpd_reply_text(struct httpd_request *request, unsigned status, const char *text);
// Takes the buffer's contents; 500 when it has failed.
void httpd_reply_buf(struct httpd_request *request, unsigned status, const char *type,
                     struct buf *buf);
void httpd_reply_json(struct httpd_request *request, unsigned status, struct buf *buf);
// Takes fd over.
void httpd_reply_file(struct httpd_request *request, unsigned status, const char *type, int fd,
                      uint64_t offset, uint64_t size);
// In the site's own form.
void httpd_fail(struct httpd_request *request, unsigned status, const char *message);
bool httpd_replied(const struct httpd_request *request);

#define HTTPD_SOURCE_END (-1)
#define HTTPD_SOURCE_ERROR (-2) // the connection is cut, so that nobody takes it for whole
struct httpd_source {
    // Up to `size` bytes into data; blocks until there are some. Number of bytes, or END or ERROR.
    ssize_t (*read)(void *payload, char *data, size_t size);
    void (*release)(void *payload);
    void *payload;
    uint64_t size; // 0: not known, sent in chunks
};
void httpd_reply_stream(struct httpd_request *request, unsigned status, const char *type,
                        const struct httpd_source *source);
