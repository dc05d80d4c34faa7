// SPDX-License-Identifier: Apache-2.0
// UTF-8 from untrusted places: validity, and what is safe on a terminal. Layer: base.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of the character at the start of text (1 to 4) with its number, or 0 when it is not valid
// UTF-8 (overlong, surrogate, cut short, past U+10FFFF).
size_t utf8_decode(const char *text, size_t size, uint32_t *ret_character);

bool utf8_valid(const void *data, size_t size);

struct buf;

// Appends text with everything that could steer a terminal or reorder a line (control characters,
// bidirectional marks, invalid bytes) as \xNN or \u{N}.
void utf8_add_printable(struct buf *buf, const char *text, size_t size);

// Columns that printable text takes on a terminal.
size_t utf8_columns(const char *text, size_t size);
