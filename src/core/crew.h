// SPDX-License-Identifier: Apache-2.0
// The same work for many items, so many at a time. Layer: core.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef void (*crew_fn)(void *context, size_t index);

// Calls run for each index below count, on this thread and at most width - 1 others, in order of
// beginning; returns when all have ended. Threads that can't be started are done without.
void crew_run(size_t count, uint32_t width, crew_fn run, void *context);
