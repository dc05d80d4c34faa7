// SPDX-License-Identifier: Apache-2.0
// Process 1 of a sandbox from its first instruction to the agent's. Layer: jail.
#pragma once

#include "jail/jail.h"

// Starts it in its new namespaces. Returns the pid, jail->init_pidfd set, or a negative code.
pid_t init_start(struct jail *jail, int link_fd, struct sbx_error *err);

// What the monitor sends over the link, each a datagram whose first byte is this, descriptors attached.
enum init_msg {
    INIT_GO = 'G' // limits hold; listening socket, first connection, network namespace (if any)
};
// And back, when init has made the network itself: 'N' with the layer-2 device, if there is one.
#define INIT_NETWORK 'N'
