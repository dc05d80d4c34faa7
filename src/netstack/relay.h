// SPDX-License-Identifier: Apache-2.0
/*
 * The sandbox's name service: forwards its queries to this machine's servers, each from a socket of
 * its own that hears that server alone, so that nobody else can answer. In mode `allow` only names
 * with a rule are asked for, and what the answers say opens addresses in the filter. Layer:
 * netstack.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "netstack/device.h"
#include "netstack/dns.h"
#include "netstack/filter.h"
#include "netstack/frame.h"
#include "netstack/pollset.h"
#include "netstack/resolvers.h"

#define RELAY_PENDING_MAX 64
#define RELAY_TRIES 3
#define RELAY_WAIT_MS 1500 // for one server's answer
#define RELAY_SILENT_MAX 4

struct relay_pending {
    int fd; // owned; -1: the place is free
    int poll_index;
    int64_t until_ms;
    unsigned tries, server;
    uint16_t id, guest_port;
    uint8_t guest_mac[FRAME_MAC];
    struct dns_query query;
};

struct relay {
    const struct device *device; // borrowed
    struct filter *filter;       // borrowed
    struct resolvers resolvers;
    unsigned silent; // queries in a row that no server answered
    size_t pending_count;
    struct relay_pending pending[RELAY_PENDING_MAX];
    uint8_t message[65536], frame[FRAME_MAX];
};

void relay_init(struct relay *relay, const struct device *device, struct filter *filter,
                int64_t now_ms);
void relay_deinit(struct relay *relay);

// A datagram of the sandbox to the name server's address.
void relay_query(struct relay *relay, const struct frame *frame, int64_t now_ms);

// Adds what to wait for; returns milliseconds until something has to be done, -1: nothing.
int relay_fill(struct relay *relay, struct pollset *set, int64_t now_ms);
// Whether the servers are probably others by now, which only a new process may find out.
bool relay_lost(const struct relay *relay);
void relay_poll(struct relay *relay, const struct pollset *set, int64_t now_ms);
