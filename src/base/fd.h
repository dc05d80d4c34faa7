// SPDX-License-Identifier: Apache-2.0
// File descriptors: made close-on-exec, read and written whole. Layer: base.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"

int fd_pipe(int ret_ends[2]); // O_CLOEXEC both; -1 and errno on failure
int fd_set_nonblock(int fd, bool on);
int fd_set_cloexec(int fd, bool on);

// Until all is done, EOF (read) or an error; EINTR is retried. -1 and errno on failure.
ssize_t fd_read_full(int fd, void *data, size_t size);
int fd_write_full(int fd, const void *data, size_t size);

// A small file's contents, NUL-terminated; -1 and errno (EFBIG past size - 1).
ssize_t fd_read_file(int dir_fd, const char *path, char *buffer, size_t size);

// Writes a whole short text to an existing file, as for /proc and cgroup files.
int fd_write_file(int dir_fd, const char *path, const char *text);
