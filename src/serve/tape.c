// SPDX-License-Identifier: Apache-2.0
// Output that is kept. Layer: serve.
#include "serve/tape.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "serve/transfer.h"

void tape_init(struct tape *tape, struct serve *serve)
{
    *tape = (struct tape){.serve = serve, .memory = BUF_INIT(TAPE_MEMORY_MAX), .fd = -1};
}

void tape_deinit(struct tape *tape)
{
    buf_deinit(&tape->memory);
    if (tape->fd >= 0)
        close(tape->fd);
    tape->fd = -1;
}

static bool write_at(int fd, const char *data, size_t size, size_t at)
{
    while (size > 0) {
        ssize_t put = pwrite(fd, data, size, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        data += put;
        size -= (size_t)put;
        at += (size_t)put;
    }
    return true;
}

static bool spill(struct tape *tape)
{
    char path[TRANSFER_PATH_MAX];
    struct sbx_error ignored;
    cleanup_fd int fd = spool_open(tape->serve, path, &ignored);
    if (fd < 0)
        return false;
    unlink(path);
    if (!write_at(fd, tape->memory.data, tape->memory.size, 0))
        return false;
    tape->fd = steal_fd(&fd);
    buf_deinit(&tape->memory);
    return true;
}

bool tape_add(struct tape *tape, const void *data, size_t size)
{
    if (tape->fd < 0 && tape->size + size <= TAPE_MEMORY_MAX) {
        buf_add(&tape->memory, data, size);
        if (tape->memory.failed)
            return false;
    } else if ((tape->fd < 0 && !spill(tape)) || !write_at(tape->fd, data, size, tape->size)) {
        return false;
    }
    tape->size += size;
    return true;
}

size_t tape_read(const struct tape *tape, size_t at, void *data, size_t size)
{
    size_t left = at < tape->size ? tape->size - at : 0;
    if (size > left)
        size = left;
    if (tape->fd < 0) {
        if (size > 0)
            memcpy(data, tape->memory.data + at, size);
        return size;
    }
    ssize_t got;
    do
        got = pread(tape->fd, data, size, (off_t)at);
    while (got < 0 && errno == EINTR);
    return got > 0 ? (size_t)got : 0;
}
