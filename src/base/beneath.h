// SPDX-License-Identifier: Apache-2.0
// Paths that are not trusted, opened beneath a directory that they cannot leave. Layer: base.
#pragma once

#include <sys/types.h>

#include "base/buf.h"

/*
 * As openat(2), with root_fd as the root of all links in the path: absolute ones and ".." stay
 * inside. Where the kernel can't do that (before 5.6), paths with links fail with ELOOP. O_CLOEXEC
 * is added.
 */
int beneath_open(int root_fd, const char *path, int flags, mode_t mode);

// The directory at a relative path without any link in it; "" is the root itself. -1 and errno
// (ELOOP or ENOTDIR for a link).
int beneath_dir(int root_fd, const char *path);

// Contents of a regular file as text, kept in the buffer; "" when it can't be read or is too large.
const char *beneath_text(int root_fd, const char *path, struct buf *out);
