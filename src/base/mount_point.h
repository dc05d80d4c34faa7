// SPDX-License-Identifier: Apache-2.0
// Where something is to be mounted, in a root that is not trusted. Linux only. Layer: base.
#pragma once

#include <stdbool.h>

// Makes one missing component. 0, or -1 and errno.
typedef int mount_point_maker(const void *user, int parent_fd, const char *name, bool directory);

// The plain one; it needs no user.
int mount_point_make(const void *user, int parent_fd, const char *name, bool directory);

/*
 * The directory or file at an absolute, clean path (no "." or ".."); what is missing is made, the
 * last component as a file unless `directory`. Links lead nowhere outside of the root. -1 and
 * errno.
 */
int mount_point_open(int root_fd, const char *path, bool directory, mount_point_maker *make,
                     const void *user);
