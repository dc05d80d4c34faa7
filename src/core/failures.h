// SPDX-License-Identifier: Apache-2.0
// Why each of several providers failed, and the one error made of it. Layer: core.
#pragma once

#include <sandboxes/manager.h>

#include "base/error.h"

// A list with room for `room` failures. NOMEM.
int failures_new(size_t room, struct sbx_failures *ret_failures, struct sbx_error *err);

// The next failure, to be filled; there must be room.
struct sbx_failure *failures_add(struct sbx_failures *failures);

// The one error of all (at least one), and its code. A single failure is passed on as it is.
int failures_sum_up(const struct sbx_failures *failures, struct sbx_error *err);

// How telling a failure's code is: the least is what the caller can mend.
size_t failures_rank(int code);
