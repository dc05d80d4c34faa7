// SPDX-License-Identifier: Apache-2.0
/*
 * Frames on a stream between two of our processes: a 12-byte header (payload size, type, channel;
 * all little-endian u32) and the payload. On a unix socket descriptors may travel with a frame's
 * first byte (SCM_RIGHTS, unix(7)). A connection over a unix socket serves one request at a time
 * and has channel 0 only; channels let many share a serial port. Layer: wire.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"

#define FRAME_HEADER_SIZE 12
#define FRAME_PAYLOAD_MAX (1024 * 1024) // ceiling of one frame; anything larger is a protocol error
#define FRAME_FDS_MAX 4

struct frame {
    uint32_t type;
    uint32_t channel;
    const uint8_t *payload; // borrowed from the connection's buffer, until the next receive
    size_t size;
    int fds[FRAME_FDS_MAX]; // owned by the receiver of the frame
    size_t fd_count;
};

// Incoming half of a connection: bytes not yet handed out, and descriptors that came with them.
struct frame_in {
    struct buf buffer;
    size_t consumed; // bytes of the frame handed out last, dropped at the next receive
    int fds[FRAME_FDS_MAX];
    size_t fd_count;
};

void frame_in_init(struct frame_in *in);
void frame_in_deinit(struct frame_in *in); // closes descriptors that nobody took

void frame_header(uint8_t ret_header[FRAME_HEADER_SIZE], uint32_t size, uint32_t type,
                  uint32_t channel);

// Puts header and payload into out.
void frame_put(struct buf *out, uint32_t type, uint32_t channel, const void *payload, size_t size);

/*
 * Sends one frame, with descriptors if fd_count > 0 (they stay the caller's). Blocks until the
 * deadline. Errors: UNAVAILABLE (peer gone), TIMEOUT, CANCELLED, IO.
 */
int frame_send(int fd, uint32_t type, const void *payload, size_t size, const int *fds,
               size_t fd_count, struct deadline deadline, struct sbx_error *err);

// Receives one whole frame. Errors: UNAVAILABLE (peer gone), PROTOCOL, TIMEOUT, CANCELLED, NOMEM,
// IO.
int frame_receive(int fd, struct frame_in *in, struct deadline deadline, struct frame *ret_frame,
                  struct sbx_error *err);

// For event loops: reads what is there. 1 if bytes came, 0 if none are there now, -1 at the end or
// error.
int frame_fill(int fd, struct frame_in *in);
// Takes the next whole frame out of the buffer. 1, 0 when incomplete, -1 when the stream is
// malformed.
int frame_next(struct frame_in *in, struct frame *ret_frame);
