// SPDX-License-Identifier: Apache-2.0
/*
 * Signals while a sandbox is made and used. A handler notes the signal and triggers a cancel token,
 * so that the library call in progress returns; the main thread then takes what was noted. The
 * first interrupt goes to the command, a second within a second kills it, a third leaves at once
 * (the sandbox is tied to this process and goes with it). Layer: cli.
 */
#pragma once

#include <stdbool.h>

#include <sandboxes/types.h>

#include "base/error.h"

// Installs the handlers (signals ignored by our parent stay ignored). Once a process.
int signals_install(struct sbx_error *err);

// Around a command on a terminal in raw mode: follow its size, and restore it when we crash.
void signals_terminal(bool on);

// Token for the calls to come; NULL before signals_install(). Valid until the next signals_take().
struct sbx_cancel *signals_token(void);

#define SIGNALS_FORWARD_MAX 8

struct signals_batch {
    int forward[SIGNALS_FORWARD_MAX]; // to be sent to the command, in no order
    int count;
    bool kill;    // the user insists
    bool resized; // the terminal has another size
};

// Whether something was noted since the last signals_take().
bool signals_pending(void);

// Takes what was noted and renews the token. On failure (no descriptors left) the old token stays
// triggered.
int signals_take(struct signals_batch *ret_batch, struct sbx_error *err);

// The signal that asked us to end, 0 if none did.
int signals_fatal(void);

// From now on an interrupt leaves at once: what is left to do is cleaning up.
void signals_cleaning(void);
