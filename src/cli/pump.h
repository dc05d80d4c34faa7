// SPDX-License-Identifier: Apache-2.0
// A command in a sandbox joined to our standard streams, terminal and signals. Layer: cli.
#pragma once

#include <stdbool.h>

#include <sandboxes/process.h>

#include "base/buf.h"
#include "base/error.h"

struct pump {
    int out_fd, err_fd; // where output goes as it comes
    struct buf *out,
        *err;   // instead, when not NULL: kept here up to the ceiling, the rest is dropped
    bool input; // our standard input is carried to the command
    bool tty;   // our terminal becomes the command's
};

struct pump_end {
    struct sbx_outcome outcome;
    bool output_closed; // nobody reads our standard output any more; the command was killed
    bool killed;        // by the user's second interrupt
    bool truncated;     // kept output went past the ceiling
};

// Exit status for how it ended.
int pump_exit_status(const struct pump_end *end);

// Starts exec (its flags for input and terminal are set here) and stays with it to its end.
// Needs signals_install().
int pump_run(struct sbx_sandbox *sandbox, struct sbx_exec *exec, const struct pump *pump,
             struct pump_end *ret_end, struct sbx_error *err);

// Stays with a running command to its end, or for TIMEOUT until `quiet_ms` without output have
// passed (0: never).
int pump_follow(struct sbx_process *process, const struct pump *pump, int64_t quiet_ms,
                struct pump_end *ret_end, struct sbx_error *err);
