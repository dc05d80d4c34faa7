// SPDX-License-Identifier: Apache-2.0
// Taking rights away from the unpacker before it reads a byte of what somebody sent. Layer: engine.
#pragma once

#include <stdint.h>

#include "base/error.h"

/*
 * From now on this process can make and change files beneath dir_fd, and nothing else: no other
 * files (where the kernel has Landlock), no programs, no network, no processes, bounded memory and
 * file size.
 */
int confine_self(int dir_fd, uint64_t bytes_max, struct sbx_error *err);
