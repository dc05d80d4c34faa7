// SPDX-License-Identifier: Apache-2.0
// Directories, links and devices that a sandbox begins with. Linux only. Layer: base.
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct node {
    const char *path; // from the working directory
    mode_t mode;      // with the type, as for mknod(2)
    const char *link; // what a link says
    unsigned major, minor;
};

// In `dev`: all but the devices, and the devices, which some can't make.
extern const struct node node_dev[8];
extern const struct node node_devices[6];

// 0, or -1 and errno. Modes hold as they are with a umask of 0.
int node_make(const struct node *node);
// The first that failed, with errno; NULL if none did.
const struct node *node_make_all(const struct node *nodes, size_t count);
