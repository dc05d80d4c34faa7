// SPDX-License-Identifier: Apache-2.0
// Time and deadlines. Deadlines are on CLOCK_BOOTTIME: they count while the machine sleeps and do
// not jump with the wall clock. Layer: base.
#pragma once

#include <stdint.h>

#include <sandboxes/types.h>

#include "base/error.h"

int64_t clock_boot_ns(void);
int64_t clock_boot_ms(void);
int64_t clock_unix_ms(void);

#define DEADLINE_NEVER INT64_MAX

// A call's absolute end and what cancels it. Plain value.
struct deadline {
    int64_t at_ms;             // clock_boot_ms() scale, or DEADLINE_NEVER
    struct sbx_cancel *cancel; // borrowed, may be NULL
};

struct deadline deadline_from_call(const struct sbx_call *call);
struct deadline deadline_in(int64_t timeout_ms);

// The earlier of the two ends, with the cancel token of the first.
struct deadline deadline_min(struct deadline deadline, int64_t at_ms);

// Milliseconds left for poll(2): -1 for never, 0 when it has passed.
int deadline_poll_ms(struct deadline deadline);

// Waits until fd has one of the poll(2) events. 0, or TIMEOUT, CANCELLED, IO. ret_revents may be
// NULL.
int deadline_wait(struct deadline deadline, int fd, short events, short *ret_revents,
                  struct sbx_error *err);
