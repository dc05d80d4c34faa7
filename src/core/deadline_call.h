// SPDX-License-Identifier: Apache-2.0
// A call made of several: what is left of its time for the next one. Layer: core.
#pragma once

#include "base/clock.h"

// TIMEOUT when nothing is left.
int deadline_call(struct deadline deadline, struct sbx_call *ret_call, struct sbx_error *err);
