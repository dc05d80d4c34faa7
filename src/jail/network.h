// SPDX-License-Identifier: Apache-2.0
// The network namespace of a sandbox: loopback, and a layer-2 device whose other end the monitor
// holds. network_namespaces(7), netdevice(7), Documentation/networking/tuntap.rst. Layer: jail.
#pragma once

#include "jail/jail.h"

// Starts the network process, which shares the caller's memory, where it can, and descriptors: when
// it has ended well, shared->netns_fd and device_fd are open here. With real root it is in a new
// user namespace, the sandbox's to be, which owns the network. Not for SBX_NETWORK_HOST. Returns
// its pid or a code.
pid_t network_start(struct jail *jail, struct sbx_error *err);

/*
 * Waits until the namespace exists, its devices may be missing yet; netns_fd < 0 afterwards: it
 * failed, and network_join() tells why. Only for who shares the table of descriptors.
 */
void network_await_namespace(const struct jail *jail, pid_t pid);

// Waits until it has ended, which network_join() will then find.
void network_await_end(pid_t pid);

// Waits for it. 0, or the code of its error.
int network_join(struct jail *jail, pid_t pid, struct sbx_error *err);
