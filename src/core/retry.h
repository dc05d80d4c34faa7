// SPDX-License-Identifier: Apache-2.0
// Policies of repeating, complete and checked. Layer: core.
#pragma once

#include <stdbool.h>

#include <sandboxes/manager.h>

#include "base/error.h"

// The caller's with all defaults filled in; NULL: the defaults.
int retry_fill(const struct sbx_retry *retry, struct sbx_retry *ret_full, struct sbx_error *err);

// Whether an attempt that begins after this wait, so long after the first one, is within the
// budget.
bool retry_affords(const struct sbx_retry *retry, int64_t spent_ms, int64_t wait_ms);

// A clock's time, or the machine's for NULL.
int64_t retry_now_ms(const struct sbx_clock *clock);
