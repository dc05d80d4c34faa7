// SPDX-License-Identifier: Apache-2.0
// Detached mounts: open_tree(2), move_mount(2), mount_setattr(2), which musl does not wrap. Each
// returns -1 with errno on failure. Linux only. Layer: base.
#pragma once

#include <stdbool.h>

int mount_clone(const char *path, bool recursive); // a detached copy of the mount at path
int mount_move(int mount_fd, const char *target);
int mount_move_onto(int mount_fd, int target_fd);
int mount_idmap(int mount_fd, int userns_fd);
int mount_restrict(int mount_fd, bool read_only); // nosuid and nodev always; the whole tree of it
