// SPDX-License-Identifier: Apache-2.0
// Fields of a message. Layer: wire.
#include "wire/codec.h"

#include <string.h>

void wire_put_u32(struct buf *out, uint32_t value)
{
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    buf_add(out, bytes, sizeof(bytes));
}

void wire_put_u64(struct buf *out, uint64_t value)
{
    wire_put_u32(out, (uint32_t)value);
    wire_put_u32(out, (uint32_t)(value >> 32));
}

void wire_put_bytes(struct buf *out, const void *data, size_t size)
{
    if (size > UINT32_MAX) {
        out->failed = true;
        return;
    }
    wire_put_u32(out, (uint32_t)size);
    buf_add(out, data, size);
}

void wire_put_text(struct buf *out, const char *text)
{
    if (!text)
        text = "";
    wire_put_bytes(out, text, strlen(text) + 1);
}

void wire_put_pairs(struct buf *out, const struct sbx_pair *pairs, size_t count)
{
    wire_put_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        wire_put_text(out, pairs[i].name);
        wire_put_text(out, pairs[i].value);
    }
}

void wire_put_texts(struct buf *out, const char *const *texts, size_t count)
{
    wire_put_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        wire_put_text(out, texts[i]);
}

struct wire_reader wire_reader(const void *data, size_t size)
{
    return (struct wire_reader){.at = data, .left = size};
}

// The next `size` bytes, or NULL once the message is too short.
static const uint8_t *take(struct wire_reader *in, size_t size)
{
    if (in->failed || in->left < size) {
        in->failed = true;
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += size;
    in->left -= size;
    return at;
}

uint32_t wire_u32(struct wire_reader *in)
{
    const uint8_t *at = take(in, 4);
    if (!at)
        return 0;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint64_t wire_u64(struct wire_reader *in)
{
    uint64_t low = wire_u32(in);
    return low | (uint64_t)wire_u32(in) << 32;
}

const void *wire_bytes(struct wire_reader *in, size_t *ret_size)
{
    uint32_t size = wire_u32(in);
    const void *at = take(in, size);
    *ret_size = at ? size : 0;
    return at;
}

const char *wire_text(struct wire_reader *in)
{
    size_t size;
    const char *text = wire_bytes(in, &size);
    if (!text || size == 0 || memchr(text, '\0', size) != text + size - 1) {
        in->failed = true;
        return "";
    }
    return text;
}

// A count that the bytes left can hold, each entry taking at least `least` bytes.
static size_t read_count(struct wire_reader *in, size_t limit, size_t least)
{
    size_t count = wire_u32(in);
    if (count > limit || count > in->left / least) {
        in->failed = true;
        return 0;
    }
    return count;
}

struct sbx_pair *wire_pairs(struct wire_reader *in, size_t limit, size_t *ret_count)
{
    *ret_count = 0;
    size_t count = read_count(in, limit, 10);
    if (count == 0)
        return NULL;
    cleanup_free struct sbx_pair *pairs = calloc(count, sizeof(*pairs));
    if (!pairs)
        in->failed = true;
    for (size_t i = 0; pairs && i < count; i++) {
        pairs[i].name = wire_text(in);
        pairs[i].value = wire_text(in);
    }
    if (in->failed)
        return NULL;
    *ret_count = count;
    return steal_ptr(pairs);
}

const char **wire_texts(struct wire_reader *in, size_t limit, size_t *ret_count)
{
    *ret_count = 0;
    size_t count = read_count(in, limit, 5);
    cleanup_free const char **texts = calloc(count + 1, sizeof(*texts));
    if (!texts)
        in->failed = true;
    for (size_t i = 0; texts && i < count; i++)
        texts[i] = wire_text(in);
    if (in->failed)
        return NULL;
    *ret_count = count;
    return steal_ptr(texts);
}

bool wire_end(const struct wire_reader *in)
{
    return !in->failed && in->left == 0;
}
