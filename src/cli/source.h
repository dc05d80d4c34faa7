// SPDX-License-Identifier: Apache-2.0
// Whole files and whole standard input. Layer: cli.
#pragma once

#include <stddef.h>

#include "base/error.h"

#define SOURCE_MAX (1024UL * 1024 * 1024)

// Contents with a NUL after them that ret_size does not count; QUOTA past `limit` bytes. Free with
// free().
int source_read_file(const char *path, size_t limit, char **ret_data, size_t *ret_size,
                     struct sbx_error *err);
int source_read_fd(int fd, const char *what, size_t limit, char **ret_data, size_t *ret_size,
                   struct sbx_error *err);
