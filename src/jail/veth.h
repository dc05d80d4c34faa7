// SPDX-License-Identifier: Apache-2.0
// The layer-2 device where /dev/net/tun is not permitted: a veth pair with both ends in the
// sandbox's namespace, one configured, the other read and written through a packet socket. veth(4),
// packet(7). Layer: jail.
#pragma once

#include "base/error.h"

// Makes the pair in the caller's network namespace. Returns the packet socket or a negative code.
int veth_open(struct sbx_error *err);
