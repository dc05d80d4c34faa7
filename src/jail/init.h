// SPDX-License-Identifier: Apache-2.0
// Process 1 of a sandbox from its first instruction to the agent's. Layer: jail.
#pragma once

#include "jail/jail.h"

// Starts it in its new namespaces. With real root the request need not be there yet: init_tell().
// Returns the pid, jail->init_pidfd set, or a negative code. cgroup_fd: version 2 directory that it
// is born in, or -1.
pid_t init_start(struct jail *jail, int link_fd, int cgroup_fd, struct sbx_error *err);

// With real root: tells it the request, with the layers and mounts that it asks for.
int init_tell(struct jail *jail, struct sbx_error *err);

// Whether it is in our memory still, as it is until it becomes the agent, or ends. Only with real
// root and without a cgroup of version 2; it allocates nothing there.
bool init_is_within(const struct jail *jail);

// Waits until it has built all that needs no request, and waits for that. Of a spare only.
int init_settle(struct jail *jail, struct sbx_error *err);

// What the monitor sends over the link, each a datagram whose first byte is this, descriptors
// attached.
enum init_msg {
    INIT_MAPPED = 'M', // subordinate ids are mapped (only where there are any)
    INIT_SPEC =
        'S',      // with the agent's program, layers and mounts; the request, unless it is within
    INIT_GO = 'G' // cgroups are there; descriptors as in enum go_fd
};
enum go_fd {
    GO_LISTEN, // agent's listening socket
    GO_FIRST,  // agent's end of the first connection
    GO_NETNS, // with real root: the network namespace; else, and for network `host`, any descriptor
    GO_ENTRIES // from here on: files to write "0" to, to enter cgroups
};
// And back, when init has made the network itself, with the layer-2 device, if there is one.
#define INIT_NETWORK 'N'
#define INIT_DISK 'D'  // with the disk; read whenever there is time
#define INIT_WAITS 'W' // by a spare's, which is ready for its request
