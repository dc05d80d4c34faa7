// SPDX-License-Identifier: Apache-2.0
// Starting a sandbox: the jail is spawned and answers. Layer: engine.
#pragma once

#include <limits.h>

#include "base/clock.h"
#include "engine/spare.h"
#include "wire/box_msg.h"

// What a client launches with.
struct launcher {
    char jail[PATH_MAX]; // our program
    struct spares spares;
};

// A jail at work on what needs no request.
struct launch {
    int boot_fd;   // our socket to it; -1: none
    pid_t starter; // to be waited for; 0: a spare's
};
#define LAUNCH_NONE                                                                                \
    {                                                                                              \
        .boot_fd = -1                                                                              \
    }

// Gets one for sandboxes with this network: it goes on beside the caller, who finds out meanwhile
// what to ask for. *ret_launch stays LAUNCH_NONE where that saves nothing.
int launch_begin(struct launcher *launcher, uint32_t network, struct launch *ret_launch,
                 struct sbx_error *err);

// Ends one that was asked for nothing; does nothing for LAUNCH_NONE. Its processes are gone then.
void launch_cancel(struct launch *launch);
#define cleanup_launch cleanup(launch_cancel)

/*
 * Builds the sandbox, with the jail that has begun. dir_fd is its empty directory, flock(2)ed by
 * the caller: the monitor inherits the lock, writes `spec` and the sockets there, and removes the
 * directory at the end. On success: *ret_conn is the first connection to the agent (READY already
 * read), owned by the caller; *ret_leash (only for SBX_LIFETIME_TIED, else -1) is held by the
 * caller: closing it ends the sandbox. On failure nothing of the sandbox is left, the directory
 * included.
 */
int launch_box(struct launcher *launcher, struct launch *launch, const struct box_spec *spec,
               int dir_fd, struct deadline deadline, int *ret_conn, int *ret_leash,
               struct sbx_error *err);

// Starts the helper that makes spares for this network. The socket to it, at whose end it ends too,
// or -1.
int launch_helper(const char *jail, uint32_t network);

// Path of one of our helper programs ("sandboxes-jail", ...): $SANDBOXES_LIBEXEC, beside the
// library or command (build tree, wheel), then the installed place. 0 or SETUP.
int launch_find_program(const char *name, char *ret_path, size_t size, struct sbx_error *err);
