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

#define BAD 64

// Values of characters; a table of its own, since this is the hot path of output that comes as
// text.
static void fill_values(unsigned char values[256])
{
    for (int i = 0; i < 256; i++)
        values[i] = BAD;
    for (unsigned char i = 0; i < 64; i++)
        values[(unsigned char)alphabet[i]] = i;
}

// Whole groups without padding; the number of them that are good.
static size_t decode_groups(const unsigned char *text, size_t groups, unsigned char *out)
{
    unsigned char values[256];
    fill_values(values);
    for (size_t i = 0; i < groups; i++, text += 4, out += 3) {
        unsigned a = values[text[0]], b = values[text[1]], c = values[text[2]], d = values[text[3]];
        if ((a | b | c | d) & BAD)
            return i;
        uint32_t bits = a << 18 | b << 12 | c << 6 | d;
        out[0] = (unsigned char)(bits >> 16);
        out[1] = (unsigned char)(bits >> 8);
        out[2] = (unsigned char)bits;
    }
    return groups;
}

bool base64_decode(struct buf *buf, const char *text, size_t size)
{
    if (size % 4)
        return false;
    size_t groups = size / 4;
    if (groups == 0)
        return true;
    unsigned padding = text[size - 1] != '=' ? 0 : text[size - 2] != '=' ? 1 : 2;
    unsigned char *out = (unsigned char *)buf_reserve(buf, groups * 3);
    if (!out)
        return true;
    if (decode_groups((const unsigned char *)text, groups - 1, out) != groups - 1)
        return false;
    unsigned char last[4];
    for (unsigned i = 0; i < 4; i++)
        last[i] = i >= 4 - padding ? 'A' : (unsigned char)text[size - 4 + i];
    if (decode_groups(last, 1, out + (groups - 1) * 3) != 1)
        return false;
    for (unsigned i = 3 - padding; i < 3; i++)
        if (out[(groups - 1) * 3 + i])
            return false; // bits that the padding leaves must be zero
    buf_commit(buf, groups * 3 - padding);
    return true;
}
