// SPDX-License-Identifier: Apache-2.0
// One request to a service and its answer in JSON. Layer: provider.
#pragma once

#include "net/http.h"
#include "net/json.h"

struct cloud_exchange {
    struct http *http;
    const char *method, *url;
    const struct http_header *headers;
    size_t header_count;
    const struct buf *body; // NULL: none
    bool idempotent;
    const char *what; // "cannot ...", for errors
};

// ret_answer and ret_headers may be NULL. On success both are the caller's.
int cloud_exchange(const struct cloud_exchange *exchange, struct deadline deadline,
                   struct jsonv **ret_answer, struct buf *ret_headers, struct sbx_error *err);
