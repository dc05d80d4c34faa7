// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-guest: process 1 of a guest, alone with the agent's program in its initial memory disk.
 * It waits for what sandboxes-vmm tells it, makes the sandbox's root file system, starts the agent
 * in process and mount namespaces of its own, and from then on carries the agent's connections over
 * the serial port. Nothing but the agent and its commands runs here: whoever takes this kernel over
 * has what he had, this sandbox. Layer: vmm.
 */
#pragma once

#include "wire/guest_msg.h"

// What went wrong, as GUEST_FAILED tells it. Always -1.
int guest_fail(const char *what);
extern char guest_error[200];

// Modules of a kernel that has not all built in; those that are absent are skipped.
void guest_load_modules(void);

/*
 * What is done before HELLO is done once for all copies of a saved guest, and what is not done
 * after it need not be translated when an emulated one starts.
 */

// Leaves the initial memory disk for a root that can be left in turn (pivot_root(2)), with the
// writable layer, in memory.
int guest_leave_disk(void);
// Runs in the agent's process: what belongs to its pid namespace.
int guest_mount_own(void);
// The sandbox's root, the image read-only below and the layer above, with what the user mounts,
// becomes "/" of all processes. This one's directory is the old root.
int guest_enter_root(const struct guest_config *config);
// What the user mounts, in the root that lies at `root`.
int guest_mount_shares(const struct guest_config *config, const char *root);

// Addresses and routes.
int guest_set_network(void);
// Name, clock, random numbers: all that makes this guest differ from a saved one.
int guest_become(const struct guest_config *config);
