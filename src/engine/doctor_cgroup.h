// SPDX-License-Identifier: Apache-2.0
// Which limits control groups can hold here. Layer: engine.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Says in a line what was found. True when memory, processes and processor time can all be limited.
bool doctor_cgroup(char *ret_what, size_t size);
