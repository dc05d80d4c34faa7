// SPDX-License-Identifier: Apache-2.0
// libslirp between the filter and the world, and the loop that drives all. Layer: netstack.
#pragma once

#include "base/error.h"
#include "base/netrules.h"

struct stack;

// What may be reached; borrowed. See struct filter.
struct stack_rules {
    const struct netrules *only, *extra;
};

// The leash's end ends stack_run().
int stack_new(int device_fd, int leash_fd, const struct stack_rules *rules, struct stack **ret,
              struct sbx_error *err);
void stack_free(struct stack *stack);

// Until the leash or the device is gone, or a new process is wanted: 0.
int stack_run(struct stack *stack, struct sbx_error *err);
