// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with a ceiling. Failure is sticky: build, then check `failed` once. Layer:
// base.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct buf {
    char *data; // owned; not NUL-terminated unless buf_text() was called
    size_t size;
    size_t capacity;
    size_t limit; // ceiling in bytes
    bool failed;  // out of memory or past the ceiling: contents are no longer complete
};

#define BUF_INIT(ceiling)                                                                          \
    {                                                                                              \
        .limit = (ceiling)                                                                         \
    }

void buf_deinit(struct buf *buf);
#define cleanup_buf cleanup(buf_deinit)

void buf_add(struct buf *buf, const void *data, size_t size);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

// Room for `size` more bytes at data + size, or NULL; commit with buf_commit().
char *buf_reserve(struct buf *buf, size_t size);
void buf_commit(struct buf *buf, size_t size);

// Copies at most `size` bytes from *at on, and moves that behind them. How many.
size_t buf_take(const struct buf *buf, size_t *at, char *ret_data, size_t size);

// Drops `size` bytes from the front.
void buf_consume(struct buf *buf, size_t size);

// NUL-terminated contents owned by the buffer, or NULL when it has failed.
const char *buf_text(struct buf *buf);

// As buf_text(), ownership to the caller; the buffer is empty then.
char *buf_steal(struct buf *buf, size_t *ret_size);
