// SPDX-License-Identifier: Apache-2.0
// Files of local metadata, sent to a metadata service as its REST API wants them. Layer: metaflow.
#pragma once

#include "metaflow/relay/known.h"
#include "net/http.h"

#define RELAY_HEADERS_MAX 16

struct relay {
    struct http *http;
    char task_url[2048];
    char *header_text; // owned; headers point into it
    struct http_header headers[RELAY_HEADERS_MAX];
    size_t header_count;
    char **sent; // names of files that have been sent
    size_t sent_count;
    struct known known; // what the service had when this began
    bool asked;
    int64_t beat_ms; // when the last heartbeat was sent
};

// task is FLOW/RUN/STEP/TASK; headers are "name: value" lines or NULL.
int relay_open(struct relay *relay, const char *url, const char *task, const char *headers,
               struct sbx_error *err);
void relay_close(struct relay *relay);

// Files that have not been sent. Those that the service did not take are sent again by the next
// call.
int relay_send(struct relay *relay, int dir_fd, struct sbx_error *err);

// Tells that the task lives, not more often than the service wants to know.
void relay_beat(struct relay *relay);
