// SPDX-License-Identifier: Apache-2.0
// Taking rights away from the unpacker before it reads a byte of what somebody sent. Layer: engine.
#pragma once

#include <stdint.h>

#include "base/error.h"

/*
 * From now on this thread, and those that it starts, can make and change files beneath dir_fd and
 * no others (where the kernel has Landlock), within bounds of memory and file size.
 */
int confine_rights(int dir_fd, uint64_t bytes_max, struct sbx_error *err);

// After that, for all threads there are: no programs, no network, no processes, no more threads.
int confine_calls(struct sbx_error *err);
