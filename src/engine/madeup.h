// SPDX-License-Identifier: Apache-2.0
// Small files and directories that a sandbox's root file system gets from us. Layer: engine.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct madeup_dir {
    const char *path;
    mode_t mode;
    bool user; // belongs to `user` where we may give files away
};

// What the jail mounts on, and what every program expects; NULL path at the end.
extern const struct madeup_dir madeup_mount_points[];
extern const struct madeup_dir madeup_system_dirs[];

// Makes the directories below root_fd; existing ones get the mode.
int madeup_make_dirs(int root_fd, const struct madeup_dir *dirs, struct sbx_error *err);

// Writes a file below root_fd, replacing one that is there; its directory must exist.
int madeup_write(int root_fd, const char *path, mode_t mode, const char *text, size_t size,
                 struct sbx_error *err);

// resolv.conf, hosts and hostname: names work whatever the image says.
int madeup_write_names(int root_fd, struct sbx_error *err);

// Everything else that a curated /etc has from us (not the accounts).
int madeup_write_etc(int root_fd, int host_fd, struct sbx_error *err);
