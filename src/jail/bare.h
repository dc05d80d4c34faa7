// SPDX-License-Identifier: Apache-2.0
/*
 * A mount namespace with nothing in it but an empty directory, from which process 1 of sandboxes
 * inherits. A copy of this machine's mounts would have to be made for each, and its old root taken
 * off again: pivot_root(2) looks at every process of the machine, and umount2(2) waits for a grace
 * period of RCU. Whoever makes many sandboxes has one: spare.h. With real root only. Layer: jail.
 */
#pragma once

#define BARE_DISK "/disk" // the empty directory

struct bare {
    int mounts_fd; // the namespace; all -1: none
    int home_fd;   // ours
    int root_fd;   // our root directory
};
#define BARE_INIT                                                                                  \
    {                                                                                              \
        -1, -1, -1                                                                                 \
    }

// Leaves it at none where it can't be had.
void bare_make(struct bare *bare);

// Into it, and back to our own namespace and root, at cwd_fd or the root if that is -1. 0, or -1
// and errno.
int bare_enter(const struct bare *bare);
int bare_leave(const struct bare *bare, int cwd_fd);

void bare_close(struct bare *bare);
