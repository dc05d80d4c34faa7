// SPDX-License-Identifier: Apache-2.0
// Policies of repeating, complete and checked. Layer: core.
#pragma once

#include <sandboxes/manager.h>

#include "base/error.h"

// The caller's with all defaults filled in; NULL: the defaults.
int retry_fill(const struct sbx_retry *retry, struct sbx_retry *ret_full, struct sbx_error *err);

// A clock's time, or the machine's for NULL.
int64_t retry_now_ms(const struct sbx_clock *clock);
