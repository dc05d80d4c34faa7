// SPDX-License-Identifier: Apache-2.0
/*
 * Walking a directory tree that others may change meanwhile: iterative, links not followed, memory
 * bounded by depth alone. Only the deepest directories are kept open; going back up to one that is
 * not opens ".." and checks that it is the directory we came from. Layer: agent.
 */
#pragma once

#include <dirent.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"

enum walk_event { WALK_END, WALK_ENTRY, WALK_LEAVE };

struct walk_level;

struct walk {
    struct walk_level *levels; // owned
    size_t depth, capacity;
    size_t depth_max, open_max;
    struct buf
        path;     // of the current entry, relative to the root; names joined by '/', NUL-terminated
    dev_t device; // of the root
};

// dir_fd is taken over. Errors: NOMEM, IO.
int walk_open(struct walk *walk, int dir_fd, size_t depth_max, size_t open_max,
              struct sbx_error *err);
void walk_close(struct walk *walk);

/*
 * The next event: an entry (by name in the directory *ret_dir_fd), the return from a directory that
 * was entered (again by name in its parent), or the end. A negative code on failure.
 */
int walk_next(struct walk *walk, int *ret_dir_fd, const char **ret_name, unsigned char *ret_type,
              struct sbx_error *err);

// Goes into the entry that was returned last. 1, 0 when it is no directory or is gone, or a code.
int walk_enter(struct walk *walk, struct sbx_error *err);

// Device of the directory that is being read.
dev_t walk_device(const struct walk *walk);

// Path of the entry that was returned last, relative to the root.
const char *walk_path(struct walk *walk);
