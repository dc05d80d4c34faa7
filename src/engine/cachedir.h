// SPDX-License-Identifier: Apache-2.0
// Directories made once and kept under the cache directory, whoever asks for them first. Layer:
// engine.
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/clock.h"

struct cachedir {
    int fd;
    char path[PATH_MAX];
};

int cachedir_open(struct cachedir *ret_cache, struct sbx_error *err);
void cachedir_close(struct cachedir *cache);

/*
 * Whether the directory lies on a disk of this machine's own, with a journal: what is made there
 * appears after a crash in the order in which it was made (but for contents), and nobody but
 * processes of this boot sees it. Not so networks' file systems, or a container's layers.
 */
bool cachedir_is_own_disk(int dir_fd);

/*
 * Takes the lock file `name` in the directory (made if missing) for this process alone. It is
 * released when *ret_lock is closed, also by death. cachedir_unlock() removes the file too.
 */
int cachedir_lock(int dir_fd, const char *name, struct deadline deadline, int *ret_lock,
                  struct sbx_error *err);
void cachedir_unlock(int dir_fd, const char *name, int *lock);

// Fills the new directory; what it wrote is removed when it fails.
typedef int (*cachedir_build_fn)(void *payload, int new_fd, struct sbx_error *err);

/*
 * Makes the directory `name` unless it is there. It appears whole or not at all: built under
 * another name and renamed. Of all processes that ask, one builds while holding the lock file
 * `lock`, the others wait; what a killed one left is removed by the next.
 */
int cachedir_once(int dir_fd, const char *lock, const char *name, struct deadline deadline,
                  cachedir_build_fn build, void *payload, struct sbx_error *err);
