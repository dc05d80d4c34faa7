// SPDX-License-Identifier: Apache-2.0
// The only way of addresses and headers into the log: without the secrets in them. Layer: net.
#pragma once

#include "base/buf.h"

// " {name: value}"; secrets as "***".
void redact_header(const char *name, const char *value, struct buf *out);
// The same for each of the lines "name: value\n".
void redact_header_lines(const struct buf *lines, struct buf *out);

// Without user information; of the query, values of names that sound like secrets as "***".
void redact_url(const char *url, struct buf *out);
