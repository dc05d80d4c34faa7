// SPDX-License-Identifier: Apache-2.0
// The least that any program must do for a sandbox of this kind, without safety, limits or
// protocol.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct floor_options {
    const char *root; // lower layer of the overlay
    const char *base; // an empty directory to mount on
    const char *program;
    bool network; // a network namespace too
    bool user;    // a user namespace too
};

// Makes a sandbox, runs the program in it as a child of its init, reads "hello", reaps; ns.
uint64_t floor_run(const struct floor_options *options);

// vfork, exec, read, wait of the program without any sandbox; ns.
uint64_t floor_exec(const char *program);
