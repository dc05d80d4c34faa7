// SPDX-License-Identifier: Apache-2.0
// UTF-8 from untrusted places (RFC 3629, section 4). Layer: base.
#include "base/utf8.h"

#include <string.h>

#include "base/buf.h"

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

static size_t lead_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

size_t utf8_decode(const char *text, size_t size, uint32_t *ret_character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = size == 0 ? 0 : lead_length(bytes[0]);
    if (length == 0 || length > size)
        return 0;
    uint32_t character = length == 1 ? bytes[0] : bytes[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if (!is_tail(bytes[i]))
            return 0;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    if (character < least[length] || character > 0x10ffff ||
        (character >= 0xd800 && character <= 0xdfff))
        return 0;
    *ret_character = character;
    return length;
}

// How many bytes at the start are plain ASCII, eight at a time.
static size_t ascii_run(const char *text, size_t size)
{
    size_t at = 0;
    uint64_t word;
    for (; size - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, text + at, sizeof(word));
        if (word & 0x8080808080808080ULL)
            break;
    }
    while (at < size && !((unsigned char)text[at] & 0x80))
        at++;
    return at;
}

bool utf8_valid(const void *data, size_t size)
{
    const char *text = data;
    uint32_t character;
    for (size_t at = 0; at < size;) {
        at += ascii_run(text + at, size - at);
        if (at == size)
            break;
        size_t length = utf8_decode(text + at, size - at, &character);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(uint32_t character, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

// C0, DEL and C1; line separators; marks that change the direction of text around them; tags.
static const struct range unsafe[] = {
    {0, 0x1f},        {0x7f, 0x9f},     {0x61c, 0x61c},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
};

void utf8_add_printable(struct buf *buf, const char *text, size_t size)
{
    uint32_t character;
    for (size_t at = 0; at < size;) {
        size_t length = utf8_decode(text + at, size - at, &character);
        if (length == 0 || (character < 0x100 && in_ranges(character, unsafe, 2))) {
            size_t bytes = length == 0 ? 1 : length;
            for (size_t i = 0; i < bytes; i++)
                buf_printf(buf, "\\x%02x", (unsigned char)text[at + i]);
            at += bytes;
            continue;
        }
        if (in_ranges(character, unsafe, ARRAY_SIZE(unsafe)))
            buf_printf(buf, "\\u{%x}", character);
        else
            buf_add(buf, text + at, length);
        at += length;
    }
}

// The blocks whose characters take two columns or none in common terminals (Unicode's
// EastAsianWidth and combining marks, by block; good enough to align a table).
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
    {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};
static const struct range narrow[] = {
    {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},
    {0x1ab0, 0x1aff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f},
};

size_t utf8_columns(const char *text, size_t size)
{
    size_t columns = 0;
    uint32_t character;
    for (size_t at = 0; at < size;) {
        size_t length = utf8_decode(text + at, size - at, &character);
        at += length == 0 ? 1 : length;
        if (length > 1 && in_ranges(character, narrow, ARRAY_SIZE(narrow)))
            continue;
        columns += length > 1 && in_ranges(character, wide, ARRAY_SIZE(wide)) ? 2 : 1;
    }
    return columns;
}
