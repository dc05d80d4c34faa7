// SPDX-License-Identifier: Apache-2.0
/*
 * Taking single files over from a directory that hostile programs have filled: regular files only,
 * no links followed, bounded, and whole or not at all. Layer: metaflow.
 */
#pragma once

#include <sys/types.h>

// A name of one directory's entry that may be taken: no dot in front, nothing that does not print.
int take_name_valid(const char *name);

// The regular file of this name, for reading; -1 and errno (EINVAL: not a regular file).
int take_open(int dir_fd, const char *name, off_t *ret_size);

// A copy, by rename under the same name; -1 and errno (EFBIG past max). The source may be changing.
int take_copy(int from_fd, const char *name, int to_fd, off_t max);

// The file itself; nobody may have it open any more. Same file system, or copied.
int take_move(int from_fd, const char *name, int to_fd);
