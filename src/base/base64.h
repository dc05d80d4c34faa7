// SPDX-License-Identifier: Apache-2.0
// Base64 with padding (RFC 4648, section 4). Layer: base.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buf;

void base64_encode(struct buf *buf, const void *data, size_t size);

// Appends what the text stands for. False, with nothing appended, for what is not Base64 with its
// padding; the buffer's own failure shows in `failed`.
bool base64_decode(struct buf *buf, const char *text, size_t size);
