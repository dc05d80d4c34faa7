// SPDX-License-Identifier: Apache-2.0
// Terminals. Layer: agent.
#pragma once

#include <stdint.h>

#include "agent/user.h"

// A new terminal owned by user; 0 rows or columns: 24 x 80. Both descriptors are the caller's.
int pty_open(uint32_t rows, uint32_t cols, const struct user *user, int *ret_master, int *ret_slave,
             struct sbx_error *err);
