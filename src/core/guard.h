// SPDX-License-Identifier: Apache-2.0
/*
 * Repeats calls to a provider as a manager's policy and the kind of the call allow. A call that may
 * be repeated is written
 *
 *     guarded(code, sandbox->guard, OPERATION_INFO, &call, err, ops->info(box, &call, &info, err));
 *
 * which is the plain call where there is no guard. `call` is the caller's own copy: it tells each
 * attempt how much time is left. Layer: core.
 */
#pragma once

#include <stdatomic.h>

#include <sandboxes/manager.h>

#include "base/clock.h"
#include "core/operation.h"

// One provider as one manager sees it.
struct guard {
    const struct sbx_retry *retry; // full
    const struct sbx_clock *clock; // may be NULL
    atomic_ullong *random;         // the manager's, shared by its guards
    struct sbx_breaker *breaker;
};

struct attempts {
    const struct guard *guard; // NULL: one attempt, as the call is
    enum operation operation;
    struct sbx_call *call;
    struct deadline whole;
    int64_t begun_ms; // on the guard's clock, where there is a budget
    uint32_t made;
    uint64_t pass; // of the breaker
};

struct attempts attempts_begin(const struct guard *guard, enum operation operation,
                               struct sbx_call *call);

// Whether to make the (next) attempt. Before the first, code and err mean nothing; after it they
// are how the last one ended, and stay so when there is no other.
bool attempts_more(struct attempts *attempts, int *code, struct sbx_error *err);

#define guarded(code, guard, operation, call, err, expression)                                     \
    for (struct attempts attempts_ = attempts_begin(guard, operation, call);                       \
         attempts_more(&attempts_, &(code), err);)                                                 \
    (code) = (expression)
