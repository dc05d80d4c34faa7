// SPDX-License-Identifier: Apache-2.0
/*
 * How many sockets libslirp holds for the sandbox, and the bound on them: libslirp has none of its
 * own. It tells when it opens and closes one; a UDP socket belongs to the port of the frame that
 * was being handled then. Layer: netstack.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netstack/frame.h"
#include "netstack/pollset.h"

#define FLOWS_MAX 512

struct flows {
    size_t count;
    uint16_t udp_port;             // of the frame being handled, 0: another kind
    bool open[POLLSET_MAX];        // by descriptor
    uint16_t port_of[POLLSET_MAX]; // the sandbox's UDP port, 0: none
    uint8_t udp_ports[65536 / 8];  // those that have a socket
};

// Whether the frame may need a socket and there is none to have.
bool flows_full_for(const struct flows *flows, const struct frame *frame);

// Before libslirp gets the frame, and (NULL) after.
void flows_handle(struct flows *flows, const struct frame *frame);

void flows_opened(struct flows *flows, int fd);
void flows_closed(struct flows *flows, int fd);
