// SPDX-License-Identifier: Apache-2.0
// Which IPv4 addresses (host byte order) a sandbox may never, or not by itself, reach. Layer: base.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Not even by an explicit rule: loopback, link-local and the clouds' metadata services, "this
// network", multicast and reserved space.
bool netrange_never(uint32_t addr);

// Not without an explicit rule by number: private networks and other space that is not the
// internet's.
bool netrange_private(uint32_t addr);

// Whether some address of addr/mask is netrange_private().
bool netrange_private_any(uint32_t addr, uint32_t mask);

// Whether each address of addr/mask is netrange_never().
bool netrange_never_whole(uint32_t addr, uint32_t mask);
