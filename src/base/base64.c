// SPDX-License-Identifier: Apache-2.0
// Base64 with padding (RFC 4648, section 4). Layer: base.
#include "base/base64.h"

#include <stdint.h>

#include "base/buf.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_group(const unsigned char *bytes, size_t count, char *out)
{
    uint32_t bits = (uint32_t)bytes[0] << 16;
    if (count > 1)
        bits |= (uint32_t)bytes[1] << 8;
    if (count > 2)
        bits |= bytes[2];
    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = '=';
    out[3] = '=';
    if (count > 1)
        out[2] = alphabet[bits >> 6 & 63];
    if (count > 2)
        out[3] = alphabet[bits & 63];
}

void base64_encode(struct buf *buf, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    size_t groups = size / 3 + (size % 3 != 0);
    if (groups == 0)
        return;
    char *out = groups <= SIZE_MAX / 4 ? buf_reserve(buf, groups * 4) : NULL;
    if (!out)
        return;
    for (size_t i = 0; i < groups; i++)
        encode_group(bytes + i * 3, size - i * 3, out + i * 4);
    buf_commit(buf, groups * 4);
}
