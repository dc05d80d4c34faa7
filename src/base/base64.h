// SPDX-License-Identifier: Apache-2.0
// Base64 with padding (RFC 4648, section 4). Layer: base.
#pragma once

#include <stddef.h>

struct buf;

void base64_encode(struct buf *buf, const void *data, size_t size);
