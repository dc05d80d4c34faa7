// SPDX-License-Identifier: Apache-2.0
// Fields of a message: little-endian integers and length-prefixed bytes, in a fixed order. A reader
// never goes past its bytes: the first bad field makes it fail for good, and all later reads yield
// zero or "". Check `failed` once, and wire_end() for surplus. Layer: wire.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sandboxes/types.h>

#include "base/buf.h"

struct wire_reader {
    const uint8_t *at; // borrowed
    size_t left;
    bool failed;
};

void wire_put_u32(struct buf *out, uint32_t value);
void wire_put_u64(struct buf *out, uint64_t value);
void wire_put_bytes(struct buf *out, const void *data, size_t size);
void wire_put_text(struct buf *out, const char *text); // NULL is sent as ""
void wire_put_pairs(struct buf *out, const struct sbx_pair *pairs, size_t count);
void wire_put_texts(struct buf *out, const char *const *texts, size_t count);

struct wire_reader wire_reader(const void *data, size_t size);
uint32_t wire_u32(struct wire_reader *in);
uint64_t wire_u64(struct wire_reader *in);

// Borrowed bytes of the message; NULL and 0 on failure.
const void *wire_bytes(struct wire_reader *in, size_t *ret_size);

// Borrowed text. On the wire texts carry their NUL, so that no copy is needed; one inside is a
// failure. Never NULL: "" on failure.
const char *wire_text(struct wire_reader *in);

// Arrays in memory of the caller's (freed by it), whose strings are borrowed from the message. At
// most `limit` entries. NULL with *ret_count 0 when empty or failed.
struct sbx_pair *wire_pairs(struct wire_reader *in, size_t limit, size_t *ret_count);
// As above, with a NULL after the last, ready for execve(2). Not NULL unless failed.
const char **wire_texts(struct wire_reader *in, size_t limit, size_t *ret_count);

// True when all was read and nothing failed.
bool wire_end(const struct wire_reader *in);
