// SPDX-License-Identifier: Apache-2.0
/*
 * One request to a server in a sandbox, and the head of its answer. Asked in HTTP/1.0, as reverse
 * proxies do: the answer's body then ends with the connection, and is never in chunks. Layer:
 * serve.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "httpd/httpd.h"

#define PROXY_HEAD_MAX (64 * 1024)
#define PROXY_COOKIE "sandboxes-preview" // holds a token: not for the sandbox

struct proxy_answer {
    size_t prefix; // of the path, when others have the same name: what the sandbox's part is
    unsigned status;
    int64_t size;     // of the body; -1: until the end
    struct buf bytes; // what has come; the body's beginning is at `body`
    size_t body;
};

// The head of the request as it goes on. path: with its query. switches: to another protocol.
void proxy_write_head(struct httpd_request *request, const char *path, const char *host,
                      int64_t body_size, bool switches, struct buf *out);

// Reads until the head is whole, puts its headers into the reply. 0, or -1 for an end before it or
// for what is no HTTP, or when the client has left.
int proxy_read_head(struct httpd_request *request, int fd, struct proxy_answer *answer);
