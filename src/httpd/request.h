// SPDX-License-Identifier: Apache-2.0
// Insides of a server and of a request. Layer: httpd.
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "httpd/httpd.h"

#define REQUEST_ID_SIZE 20
#define REQUEST_PARAMS_MAX 6
#define REQUEST_PATH_MAX 8192
#define REQUEST_HEADERS_MAX 64

struct httpd {
    struct httpd_options options; // strings borrowed
    struct MHD_Daemon *daemon;
    char *cert, *key; // owned
    uint16_t port;
    int listen_fd; // taken over, or -1
    struct sbx_cancel *cancel;
    atomic_bool stopping;
    atomic_uint_fast64_t requests, failures, refused;
    atomic_uint active;
    pthread_mutex_t lock; // guards sockets
    struct ws *sockets;   // living WebSockets
};

struct request_param {
    const char *name; // in the pattern
    size_t name_size;
    char *value; // in request.parts
};

struct httpd_request {
    struct httpd *server;
    struct MHD_Connection *connection;
    const struct httpd_site *site;
    const struct httpd_route *route;
    char id[REQUEST_ID_SIZE];
    char peer[64], host[256];
    char *uri;   // as sent, owned
    char *path;  // owned
    char *parts; // copy of path that parameters point into; owned
    const char *method;
    struct request_param params[REQUEST_PARAMS_MAX];
    size_t param_count;
    struct buf body;
    int (*sink)(void *payload, const void *data, size_t size);
    void *sink_payload;
    struct MHD_PostProcessor *parts_of; // owned
    char *empty_part;                   // name of a part without data so far; owned
    int (*take_part)(void *payload, const struct httpd_part *part);
    uint64_t received, limit;
    bool sink_failed, too_big, begun, replied, upgraded;
    unsigned status;
    uint64_t sent;
    int64_t started_ns;
    struct MHD_Response *response; // waiting to be queued; owned
    struct {
        char *name, *value;
    } headers[REQUEST_HEADERS_MAX]; // of the reply; owned
    size_t header_count;
    void *state;
    void (*release)(void *state);
    char user[64];
};

// The row that fits, or NULL with *ret_other set when the path fits with another method. Fills
// params.
const struct httpd_route *route_find(const struct httpd_site *site, struct httpd_request *request,
                                     bool *ret_other);

// Whether a browser was led here by another site: Host names nothing of ours, or Origin differs.
bool guard_allows(const struct httpd_request *request);
bool guard_host_known(const struct httpd_options *options, const char *host);
void guard_host_name(const char *header, char *ret_name, size_t size);

void log_request(const struct httpd_request *request);
