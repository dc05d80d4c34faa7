// SPDX-License-Identifier: Apache-2.0
// Output of a command in memory. Layer: agent.
#include "agent/log.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096
#define FIRST_MARKS 4
#define MARKS_MAX 1024

void log_init(struct log *log, size_t limit, size_t *budget)
{
    *log = (struct log){.limit = limit, .budget = budget};
}

void log_deinit(struct log *log)
{
    if (log->capacity > FIRST_CAPACITY)
        *log->budget += log->capacity;
    free(log->data);
    free(log->marks);
    *log = (struct log){0};
}

// The bytes [at, at + size) of the ring.
static void split(const struct log *log, uint64_t at, size_t size, struct iovec ret_parts[2])
{
    size_t start = (size_t)at & (log->capacity - 1);
    size_t first = log->capacity - start < size ? log->capacity - start : size;
    ret_parts[0] = (struct iovec){log->data + start, first};
    ret_parts[1] = (struct iovec){log->data, size - first};
}

static bool pay(struct log *log, size_t capacity)
{
    size_t more = capacity - (log->capacity > FIRST_CAPACITY ? log->capacity : 0);
    if (capacity <= FIRST_CAPACITY)
        return true;
    if (more > *log->budget)
        return false;
    *log->budget -= more;
    return true;
}

// Twice the size; the contents keep their offsets. Without memory it stays as it is.
static void grow(struct log *log)
{
    size_t capacity = log->capacity ? log->capacity * 2 : FIRST_CAPACITY;
    if (capacity > log->limit)
        return;
    uint8_t *data = malloc(capacity);
    if (!data || !pay(log, capacity)) {
        free(data);
        return;
    }
    for (uint64_t at = log->tail; at < log->head;) {
        size_t from = (size_t)at & (log->capacity - 1), to = (size_t)at & (capacity - 1);
        size_t size = log->capacity - from;
        if (size > log->head - at)
            size = (size_t)(log->head - at);
        memcpy(data + to, log->data + from, size);
        at += size;
    }
    free(log->data);
    log->data = data;
    log->capacity = capacity;
}

void log_trim(struct log *log, uint64_t to)
{
    if (to <= log->tail)
        return;
    log->tail = to < log->head ? to : log->head;
    size_t drop = 0;
    while (drop + 1 < log->mark_count && log->marks[drop + 1].start <= log->tail)
        drop++;
    if (drop == 0)
        return;
    log->mark_count -= drop;
    memmove(log->marks, log->marks + drop, log->mark_count * sizeof(log->marks[0]));
}

// Room for one more mark, by forgetting the oldest stretch if it may go.
static bool ensure_mark(struct log *log, uint64_t needed)
{
    if (log->mark_count == MARKS_MAX && log->marks[1].start <= needed)
        log_trim(log, log->marks[1].start);
    if (log->mark_count < log->mark_capacity)
        return true;
    if (log->mark_count == MARKS_MAX)
        return false;
    size_t capacity = log->mark_capacity ? log->mark_capacity * 2 : FIRST_MARKS;
    struct log_mark *marks = realloc(log->marks, capacity * sizeof(*marks));
    if (!marks)
        return false;
    log->marks = marks;
    log->mark_capacity = capacity;
    return true;
}

size_t log_room(struct log *log, uint64_t needed, struct iovec ret_parts[2])
{
    if (needed > log->head)
        needed = log->head;
    if (!ensure_mark(log, needed))
        return 0;
    uint64_t kept = log->head - (needed > log->tail ? log->tail : needed);
    if (kept * 2 >= log->capacity)
        grow(log);
    if (log->capacity == 0)
        return 0;
    size_t room = log->capacity - (size_t)(log->head - needed);
    split(log, log->head, room, ret_parts);
    return room;
}

void log_commit(struct log *log, uint32_t stream, size_t size)
{
    const struct log_mark *last = log->mark_count ? &log->marks[log->mark_count - 1] : NULL;
    if (!last || last->stream != stream)
        log->marks[log->mark_count++] = (struct log_mark){log->head, stream};
    log->head += size;
    if (log->head - log->tail > log->capacity)
        log_trim(log, log->head - log->capacity);
}

size_t log_peek(const struct log *log, uint64_t at, size_t most, uint32_t *ret_stream,
                struct iovec ret_parts[2])
{
    if (at < log->tail || at >= log->head)
        return 0;
    size_t low = 0, high = log->mark_count; // the last mark with start <= at
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (log->marks[middle].start <= at)
            low = middle;
        else
            high = middle;
    }
    uint64_t end = low + 1 < log->mark_count ? log->marks[low + 1].start : log->head;
    size_t size = end - at < most ? (size_t)(end - at) : most;
    *ret_stream = log->marks[low].stream;
    split(log, at, size, ret_parts);
    return size;
}
