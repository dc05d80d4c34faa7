// SPDX-License-Identifier: Apache-2.0
/*
 * What may pass between the sandbox and the world: the boundary that the network modes promise.
 * Pure decisions over parsed frames; what a verdict leads to is done by stack.c. Layer: netstack.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/netrules.h"
#include "netstack/frame.h"
#include "netstack/hosts.h"
#include "netstack/opened.h"

struct filter {
    const struct netrules *rules; // borrowed; NULL: mode `internet`
    const struct netrules *extra; // borrowed; NULL, or what `internet` may reach besides, by number
    const struct hosts *hosts;    // borrowed
    struct opened opened;         // mode `allow`: addresses opened by names
    bool ping;                    // the kernel lets us send pings outside
};

enum filter_verdict {
    FILTER_DROP,   // silently
    FILTER_REFUSE, // dropped, and the sandbox is told
    FILTER_PASS,
    FILTER_DNS // a query for our own name service
};

// A frame that the sandbox sent.
enum filter_verdict filter_outgoing(struct filter *filter, const struct frame *frame,
                                    int64_t now_ms);

// Whether a rule opens this port of this machine's loopback; 0: whether any does.
bool filter_opens_machine(const struct filter *filter, uint16_t port);

// A frame that libslirp has for the sandbox: UDP sockets there take datagrams from anybody.
bool filter_incoming(const struct filter *filter, const uint8_t *data, size_t size, int64_t now_ms);
