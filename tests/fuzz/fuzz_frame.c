// SPDX-License-Identifier: Apache-2.0
// Frames through a socket: the first byte says how the rest is cut into writes. However the stream
// is cut, the same frames come out of it, and none is larger than allowed.
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "wire/frame.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    size_t frames;
    size_t bytes;
    uint32_t hash;
    bool refused;
};

static void take_frames(struct frame_in *in, struct sum *sum)
{
    struct frame frame;
    int got;
    while (!sum->refused && (got = frame_next(in, &frame)) != 0) {
        sum->refused = got < 0;
        if (got < 0)
            return;
        CHECK(frame.size <= FRAME_PAYLOAD_MAX && frame.fd_count == 0);
        sum->frames++;
        sum->bytes += frame.size;
        sum->hash = sum->hash * 31 + frame.type + frame.channel;
        for (size_t i = 0; i < frame.size; i++)
            sum->hash = sum->hash * 31 + frame.payload[i];
    }
}

static struct sum read_cut(const uint8_t *data, size_t size, size_t piece)
{
    struct sum sum = {0};
    struct frame_in in;
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    frame_in_init(&in);
    while (size > 0 && !sum.refused) {
        size_t part = piece < size ? piece : size;
        CHECK(write(ends[0], data, part) == (ssize_t)part);
        CHECK(frame_fill(ends[1], &in) == 1);
        take_frames(&in, &sum);
        data += part;
        size -= part;
    }
    frame_in_deinit(&in);
    close(ends[0]);
    close(ends[1]);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 4096)
        return 0;
    struct sum whole = read_cut(data + 1, size - 1, size);
    struct sum cut = read_cut(data + 1, size - 1, 1 + data[0] % 64);
    CHECK(whole.frames == cut.frames && whole.bytes == cut.bytes && whole.hash == cut.hash);
    CHECK(whole.refused == cut.refused);
    return 0;
}
