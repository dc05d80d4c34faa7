// SPDX-License-Identifier: Apache-2.0
/*
 * Many byte streams over one: how connections to the agent cross the serial port of a guest. Both
 * ends run this code; only one of them opens streams. Frames are those of frame.h, with the
 * stream's number as their channel; 0 carries messages of whoever uses it. A stream may have
 * MUX_WINDOW bytes on the way; the end that hands them on grants as many again, so a slow reader
 * holds up its own stream alone, and what a hostile peer can make us keep is bounded. Layer: wire.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>

#include "base/buf.h"

#define MUX_STREAMS_MAX 600
#define MUX_WINDOW (256 * 1024)
#define MUX_DATA_MAX (32 * 1024)
#define MUX_EXTRAS_MAX 4

enum mux_type {
    MUX_OPEN = 1,   // nothing
    MUX_DATA = 2,   // bytes, at most MUX_DATA_MAX
    MUX_END = 3,    // nothing: no more bytes from this side
    MUX_RESET = 4,  // nothing: the stream is over, in both directions
    MUX_CREDIT = 5, // u32: so many bytes more may be sent
    MUX_USER = 16   // from here on: messages of the users', on channel 0
};

struct mux_stream {
    uint32_t number;
    int fd;         // owned
    struct buf out; // what fd has not taken
    uint32_t may_send, taken;
    bool read_ended, write_ended;
};

struct mux {
    int fd; // owned; does not block
    struct buf in, out;
    struct mux_stream *streams[MUX_STREAMS_MAX];
    size_t count; // slots up to the last used one
    uint32_t last_number;
    bool used; // bytes have come from a stream's socket
    void *user;
    // A connected socket for a new stream, or -1. NULL where none may be opened.
    int (*open)(void *user);
    // A message; false ends the whole.
    bool (*message)(void *user, uint32_t type, const void *payload, size_t size);
};

void mux_init(struct mux *mux, int fd);
void mux_deinit(struct mux *mux);

// Takes a connected socket over; with too many streams it is closed.
void mux_add(struct mux *mux, int fd);
void mux_send(struct mux *mux, uint32_t type, const void *payload, size_t size);

// Waits once, also for the extras, and carries what is there. -1 when the peer is gone or talks
// nonsense.
int mux_turn(struct mux *mux, struct pollfd *extras, size_t extra_count, int timeout_ms);
