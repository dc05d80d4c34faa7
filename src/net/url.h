// SPDX-License-Identifier: Apache-2.0
// Putting addresses together. Layer: net.
#pragma once

#include "base/buf.h"

// Percent-encodes all but unreserved characters (RFC 3986): for one part of a path or a query.
void url_add(struct buf *url, const char *text);

// "?name=value" or "&name=value", as what is there demands. A NULL value adds nothing.
void url_query(struct buf *url, const char *name, const char *value);
