// SPDX-License-Identifier: Apache-2.0
// What the parts of a command of the provider "fake" share. Layer: provider.
#pragma once

#include "base/clock.h"
#include "provider/fake/process.h"

// What a caller holds of a command.
struct held {
    struct fake_process *process;
    uint64_t seen;         // number of the last chunk handed out
    struct chunk *current; // that chunk, valid until the next read
    bool starter;
};

static inline bool fake_process_background(const struct fake_process *process)
{
    return process->flags & SBX_EXEC_BACKGROUND;
}

// Wakes up everyone who waits for the command.
void fake_process_notify(struct fake_process *process);

// Lets go of the lock until something of the command changes. For callers, which have a cancel
// token.
int fake_process_wait_change(struct fake_process *process, struct deadline deadline,
                             struct sbx_error *err);

// The command's own thread waits until at_ms, its end, or a change.
void fake_process_wait_until(struct fake_process *process, int64_t at_ms);

// Takes the first piece of output out of the queue; it is the caller's.
void fake_process_drop_head(struct fake_process *process);

// The default action of the signal; nothing here can catch one.
void fake_process_deliver(struct fake_process *process, int signal);
