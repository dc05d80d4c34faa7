// SPDX-License-Identifier: Apache-2.0
/*
 * How many sockets libslirp holds for the sandbox, and the bounds on them: libslirp has none of its
 * own, and keeps those of datagrams for minutes. It tells when it opens and closes one; which the
 * frame was that made it do so is known here. Layer: netstack.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netstack/frame.h"
#include "netstack/pollset.h"

// Apart, so that no kind can use up another's; together with ours they fit into a pollset.
#define FLOWS_TCP_MAX 512
#define FLOWS_UDP_MAX 256
#define FLOWS_PING_MAX 32

struct flow {
    bool open;
    uint8_t kind;  // enum frame_kind
    uint16_t port; // the sandbox's, of UDP
};

struct flows {
    size_t counts[FRAME_KINDS];
    struct flow handled;          // what a socket opened now would be
    struct flow of[POLLSET_MAX];  // by descriptor
    uint8_t udp_ports[65536 / 8]; // those that have a socket
};

// Whether the frame may need a socket and there is none to have.
bool flows_full_for(const struct flows *flows, const struct frame *frame);

// Before libslirp gets a frame.
void flows_handle(struct flows *flows, const struct frame *frame);

void flows_opened(struct flows *flows, int fd);
void flows_closed(struct flows *flows, int fd);

bool flows_any(const struct flows *flows);
