// SPDX-License-Identifier: Apache-2.0
/*
 * What sandboxes-vmm, outside, and process 1 of a guest say to each other on channel 0 of the
 * guest's serial port (mux.h). The guest says HELLO and waits: that is the state in which guests
 * are saved. CONFIG makes it this sandbox's, and READY answers. One that will be saved is
 * first a sandbox for show, until it is told OVER, and says HELLO a second time. Streams lead to
 * the agent's socket in the guest; the first one is the connection on which it greets. Layer: wire.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/codec.h"
#include "wire/mux.h"

#define GUEST_PROTOCOL 2
#define GUEST_ENTROPY_SIZE 64

enum guest_msg {
    GUEST_HELLO = MUX_USER, // u32 GUEST_PROTOCOL
    GUEST_CONFIG,           // struct guest_config
    GUEST_FAILED,           // text: what could not be done; the guest ends
    GUEST_READY,            // nothing: the agent runs
    GUEST_OVER              // to a guest that rehearses: nothing; it says HELLO anew
};

struct guest_config {
    uint64_t unix_ns;
    const void *entropy;
    size_t entropy_size;
    const char *hostname;
    uint64_t disk_bytes;
    uint32_t open_files, processes; // limits; 0: as the kernel has it
    uint32_t network;               // 1: there is a card to configure
    const void *agent;              // agent_config, as the agent gets it
    size_t agent_size;
};

void guest_config_put(struct buf *out, const struct guest_config *config);
int guest_config_get(const void *payload, size_t size, struct guest_config *ret_config);
