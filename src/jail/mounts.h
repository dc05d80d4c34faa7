// SPDX-License-Identifier: Apache-2.0
// The root file system of a sandbox. mount_namespaces(7), Documentation/filesystems/overlayfs.rst.
// Layer: jail.
#pragma once

#include "jail/jail.h"

/*
 * All of it runs in init. Detached copies of the layers (idmapped when we are really root) and of
 * the user's mounts, to be put in place later: one descriptor each, layers first. MOUNT_BY_PATH
 * stands for "open it by path".
 */
#define MOUNT_BY_PATH (SBX_ERR_LAST - 1)
int mounts_prepare(const struct jail *jail, int ret_fds[JAIL_LAYERS_MAX], size_t *ret_count,
                   struct sbx_error *err);

// Covers the sandbox's directory with its disk, a tmpfs of its size, and makes that the working
// directory.
int mounts_open_disk(const struct jail *jail, struct sbx_error *err);

// Builds the whole tree there.
int mounts_build(struct jail *jail, const int *fds, size_t fd_count, struct sbx_error *err);

// Makes it the root; nothing of the old one stays reachable.
int mounts_enter(struct sbx_error *err);
