// SPDX-License-Identifier: Apache-2.0
// The system calls that the running stack may use. Layer: netstack.
#pragma once

#include "base/error.h"

int syscalls_restrict(struct sbx_error *err);
