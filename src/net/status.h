// SPDX-License-Identifier: Apache-2.0
// HTTP statuses as errors, with what the service itself says. Layer: net.
#pragma once

#include "net/http.h"

// The code that fits a status best; 0 for 2xx.
int status_code(int status);

// Milliseconds that the header Retry-After (seconds or a date) or X-RateLimit-Reset asks for; 0:
// nothing. At most a day.
int64_t status_retry_after_ms(const struct buf *headers);

// Fills err from an answer that is not 2xx: "WHAT: the service's own words (request ID)".
int status_error(const char *what, const struct http_reply *reply, struct sbx_error *err)
    __attribute__((nonnull));
