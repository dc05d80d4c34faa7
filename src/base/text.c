// SPDX-License-Identifier: Apache-2.0
// Questions about text of unknown origin. Layer: base.
#include "base/text.h"

#include <stdint.h>
#include <string.h>

// Length of the sequence that a lead byte begins, 0 if it can't begin one; `least` is the smallest
// code point that may be written in that length.
static size_t sequence_length(unsigned char lead, uint32_t *ret_bits, uint32_t *ret_least)
{
    static const struct {
        unsigned char mask, lead, length;
        uint32_t least;
    } rows[] = {{0x80, 0x00, 1, 0},
                {0xe0, 0xc0, 2, 0x80},
                {0xf0, 0xe0, 3, 0x800},
                {0xf8, 0xf0, 4, 0x10000}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((lead & rows[i].mask) != rows[i].lead)
            continue;
        *ret_bits = lead & (unsigned char)~rows[i].mask;
        *ret_least = rows[i].least;
        return rows[i].length;
    }
    return 0;
}

bool text_utf8(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        uint32_t point, least;
        size_t length = sequence_length((unsigned char)text[i], &point, &least);
        if (length == 0 || length > size - i)
            return false;
        for (size_t k = 1; k < length; k++) {
            unsigned char byte = (unsigned char)text[i + k];
            if ((byte & 0xc0) != 0x80)
                return false;
            point = point << 6 | (byte & 0x3f);
        }
        if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
        i += length;
    }
    return true;
}

bool text_has_control(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    return false;
}

bool text_of(const char *text, const char *allowed, size_t max)
{
    size_t length = strspn(text, allowed);
    return length > 0 && length <= max && text[length] == '\0';
}

bool text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}
