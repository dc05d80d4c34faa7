// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with a ceiling. Layer: base.
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_deinit(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.limit = buf->limit};
}

static bool grow(struct buf *buf, size_t need)
{
    size_t capacity = buf->capacity ? buf->capacity : 128;
    while (capacity < need)
        capacity *= 2;
    char *data = realloc(buf->data, capacity);
    if (!data)
        return false;
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

char *buf_reserve(struct buf *buf, size_t size)
{
    if (buf->failed)
        return NULL;
    if (size > buf->limit || buf->size > buf->limit - size ||
        (buf->size + size > buf->capacity && !grow(buf, buf->size + size))) {
        buf->failed = true;
        return NULL;
    }
    return buf->data + buf->size;
}

void buf_commit(struct buf *buf, size_t size)
{
    buf->size += size;
}

void buf_add(struct buf *buf, const void *data, size_t size)
{
    if (size == 0)
        return;
    char *room = buf_reserve(buf, size);
    if (!room)
        return;
    memcpy(room, data, size);
    buf->size += size;
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        buf->failed = true;
        return;
    }
    char *room = buf_reserve(buf, (size_t)length + 1);
    if (!room)
        return;
    va_start(args, format);
    vsnprintf(room, (size_t)length + 1, format, args);
    va_end(args);
    buf->size += (size_t)length;
}

size_t buf_take(const struct buf *buf, size_t *at, char *ret_data, size_t size)
{
    size_t left = buf->size - *at;
    if (size > left)
        size = left;
    if (size > 0)
        memcpy(ret_data, buf->data + *at, size);
    *at += size;
    return size;
}

void buf_consume(struct buf *buf, size_t size)
{
    if (size >= buf->size) {
        buf->size = 0;
        return;
    }
    memmove(buf->data, buf->data + size, buf->size - size);
    buf->size -= size;
}

const char *buf_text(struct buf *buf)
{
    size_t limit = buf->limit;
    buf->limit = limit + 1; // the terminator does not count against the ceiling
    char *room = buf_reserve(buf, 1);
    buf->limit = limit;
    if (!room)
        return NULL;
    *room = '\0';
    return buf->data;
}

char *buf_steal(struct buf *buf, size_t *ret_size)
{
    if (!buf_text(buf))
        return NULL;
    if (ret_size)
        *ret_size = buf->size;
    char *data = steal_ptr(buf->data);
    *buf = (struct buf){.limit = buf->limit};
    return data;
}
