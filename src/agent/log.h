// SPDX-License-Identifier: Apache-2.0
/*
 * Output of a command in memory: a ring of bytes that grows on demand up to a limit, with marks
 * where stdout and stderr alternate. Positions are offsets from the first byte ever written. Layer:
 * agent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct log_mark {
    uint64_t start;
    uint32_t stream; // enum sbx_stream
};

struct log {
    uint8_t *data;          // owned; capacity is 0 or a power of two
    size_t capacity, limit; // limit: a power of two
    uint64_t head, tail;    // offsets of the next byte and of the oldest kept one
    struct log_mark *marks; // owned; ascending, the first one covers tail
    size_t mark_count, mark_capacity;
    size_t *budget; // bytes that all logs may still take, besides a small first piece each
};

void log_init(struct log *log, size_t limit, size_t *budget);
void log_deinit(struct log *log);

/*
 * Room for new bytes in up to two parts, when all from `needed` on must stay (head: nothing must).
 * The bytes there: 0 when there is no room.
 */
size_t log_room(struct log *log, uint64_t needed, struct iovec ret_parts[2]);

// `size` bytes of `stream` were written into the room.
void log_commit(struct log *log, uint32_t stream, size_t size);

// Forgets all before offset `to`.
void log_trim(struct log *log, uint64_t to);

// Kept bytes of one stream at `at`, at most `most`; 0 at the head.
size_t log_peek(const struct log *log, uint64_t at, size_t most, uint32_t *ret_stream,
                struct iovec ret_parts[2]);
