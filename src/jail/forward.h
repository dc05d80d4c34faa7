// SPDX-License-Identifier: Apache-2.0
// Ports of the sandbox on this machine's loopback: one small process each, which takes connections
// and has the agent connect to the port inside. No path leads from the sandbox to the host's
// network. Layer: jail.
#pragma once

#include "jail/monitor.h"

// Starts forwarding 127.0.0.1:host_port (0: any free one) to the port inside. The bound port or a
// code.
int forward_add(struct monitor *monitor, uint16_t port, uint16_t host_port, struct sbx_error *err);
