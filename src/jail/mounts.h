// SPDX-License-Identifier: Apache-2.0
// The root file system of a sandbox. mount_namespaces(7), Documentation/filesystems/overlayfs.rst.
// Layer: jail.
#pragma once

#include "jail/jail.h"

/*
 * Detached copies of the layers (idmapped when we are really root) and of the user's mounts, to be
 * put in place later: one descriptor each, layers first. MOUNT_BY_PATH stands for "open it by
 * path". With real root it runs in the monitor, all the rest in init.
 */
#define MOUNT_BY_PATH (SBX_ERR_LAST - 1)
int mounts_prepare(const struct jail *jail, int ret_fds[JAIL_LAYERS_MAX], size_t *ret_count,
                   struct sbx_error *err);

// Makes the sandbox's disk, a tmpfs, and makes that the working directory. With real root it is the
// root too, and nothing of this machine is reachable by path any more.
int mounts_open_disk(struct jail *jail, struct sbx_error *err);

// Builds there what needs no request.
int mounts_begin(struct jail *jail, struct sbx_error *err);

// And the rest.
int mounts_complete(struct jail *jail, const int *fds, size_t fd_count, struct sbx_error *err);

// How many writable layers there are: one for each run of layers of one target.
uint32_t mounts_count(const struct box_spec *spec);

// Makes it the root; nothing of the old one stays reachable.
int mounts_enter(const struct jail *jail, struct sbx_error *err);
